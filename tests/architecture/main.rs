//! What the source may import and call: the rules that neither the compiler nor a lint can see.
//!
//! Each rule is a function from sources to complaints, and has two tests: the project keeps it, and a made-up
//! source that breaks it is caught. What a rule allows is data at the top of its file; to allow more, add a row
//! there, with a reason.
//!
//! * [`layers`]: imports point down, and there is no cycle.
//! * [`monopolies`]: each outside thing has one home.
//! * [`dependencies`]: the engine pulls in no HTTP crate.
//! * [`manners`]: how files open, what code and tests do not do.

mod dependencies;
mod layers;
mod manners;
mod monopolies;
mod source;
mod token;
