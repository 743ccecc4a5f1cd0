//! System-call wrappers: with `abi` the only place where `unsafe` may stand.
