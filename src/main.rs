//! The `portent` program.

fn main() {}
