//! Who the peer is: trust sources, names, the verifier and its report.
