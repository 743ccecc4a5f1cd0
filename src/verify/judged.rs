//! What the certificate hook on this thread is being asked about.
//!
//! The hook gets a certificate and nothing else. What it calls to look at that certificate finds
//! the rest here: the name that was verified, and the intermediates that the peer has sent.

use std::cell::RefCell;
use std::sync::Arc;

use super::report::Report;

/// Runs the hook.
pub fn judge<T>(report: &Arc<Report>, hook: impl FnOnce() -> T) -> T {
    /// Ends it, also if a hook in C++ throws through this.
    struct Judging;
    impl Drop for Judging {
        fn drop(&mut self) {
            let _ = JUDGED.try_with(|judged| judged.borrow_mut().pop());
        }
    }
    let _judging =
        JUDGED.try_with(|judged| judged.borrow_mut().push(report.clone())).ok().map(|()| Judging);
    hook()
}

/// The report on this certificate, if a hook on this thread has been asked about it and has not
/// answered yet.
pub fn judged(leaf: &[u8]) -> Option<Arc<Report>> {
    let is_leaf = |report: &&Arc<Report>| report.chain.first().is_some_and(|der| der == leaf);
    JUDGED.try_with(|judged| judged.borrow().iter().rev().find(is_leaf).cloned()).ok().flatten()
}

thread_local! {
    /// A hook may make a handshake of its own.
    static JUDGED: RefCell<Vec<Arc<Report>>> = const { RefCell::new(Vec::new()) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::tests::fixtures::{Ca, examine};

    #[test]
    fn a_certificate_is_found_while_its_hook_runs_on_this_thread() {
        let ca = Ca::root("Root");
        let leaves = [ca.leaf(&["a.test"], |_| {}), ca.leaf(&["b.test"], |_| {})];
        let [a, b] =
            leaves.each_ref().map(|leaf| Arc::new(examine(&[&ca], &[&leaf.der], "a.test")));
        let found = |leaf: usize| judged(&leaves[leaf].der).map(|report| report.causes);
        judge(&a, || {
            assert_eq!((found(0), found(1)), (Some(a.causes), None));
            judge(&b, || assert_eq!((found(0), found(1)), (Some(a.causes), Some(b.causes))));
            assert_eq!((found(0), found(1)), (Some(a.causes), None));
            std::thread::scope(|scope| {
                scope.spawn(|| assert_eq!((found(0), found(1)), (None, None)));
            });
        });
        assert_eq!((found(0), found(1)), (None, None));
    }
}
