//! A model of what an image on an RTL8195A touches, around an interpreted Cortex-M3.
