//! Do the protocols that have no lock hold, in every order of their steps and with every crash between two of them?
//!
//! Each is a model: a small state, and all that may happen next. The checker goes through every state that can be
//! reached. What the models are of is the code as it is; each names the files it follows and says what it leaves out.
//! A model of a protocol that is broken on purpose has to be caught, by the property that the fault is against.
//!
//! `PROTOCOLS=large` goes through larger configurations too, which take minutes.
#![expect(clippy::panic, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "how much was gone through is told")]

mod check;
mod promotion;
mod tagging;
mod uploading;
