//! The syntax: from a text to a checked tree and back, and what a tree says without a store.
//!
//! In: a text. Out: a tree of known types with the names of its operators and functions, or what is wrong
//! and where. It does not know what any of them computes.
//!
//! `lexer` and `literal` make tokens, a `cursor` goes along them, `parser` descends and asks `selector`,
//! `grouping`, `infix` and `call` what becomes of what it read. `operator`, `function`, `clause`, `relabel`
//! and `when` are what a `tree` is made of; `reach`, `needs`, `only` and `text` are asked of one.

mod call;
pub(super) mod clause;
mod cursor;
pub(super) mod error;
pub(super) mod expr;
pub(super) mod function;
mod grouping;
mod infix;
mod lexer;
mod literal;
mod needs;
mod only;
pub(super) mod operand;
pub(super) mod operator;
pub(super) mod parser;
pub(super) mod reach;
pub(super) mod relabel;
mod selector;
pub(super) mod site;
mod text;
pub(super) mod tree;
pub(super) mod when;
