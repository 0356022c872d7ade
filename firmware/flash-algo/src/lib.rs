//! What probe-rs runs on a board to erase and program its flash.
#![no_std]
