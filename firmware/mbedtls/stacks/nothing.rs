//! Nothing: a package must have a target, and these packages are never built.
