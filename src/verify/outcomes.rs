//! Chains that were found in order, for as long as they would be found so again.
//!
//! A session that is resumed is judged by its chain, today; so is each of many connections to one
//! server. What webpki answers depends on the bytes of the chain, on whom the certificate is to be for,
//! on what a verifier is made of and never changes, and on the time. So nothing is verified twice
//! between two dates at which the answer could become another.
//!
//! Only what is in order is kept: what is not is told anew each time, with the present time, and no
//! hook's word is kept at all.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer};

use super::chain::Subject;
use super::facts::{Facts, public_key};
use super::report::Report;

/// What one verifier has found in order.
#[derive(Debug, Default)]
pub(super) struct Outcomes {
    /// The one used last in front.
    kept: Mutex<VecDeque<Outcome>>,
}

#[derive(Debug)]
struct Outcome {
    /// Whom the certificate was to be for; `None`: the names did not matter.
    name: Option<ServerName<'static>>,
    report: Arc<Report>,
    /// The leaf's, which is not too weak: that would have been found.
    key: SubjectPublicKeyInfoDer<'static>,
    period: Period,
}

/// From when until when an answer holds, in Unix seconds and both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Period {
    pub(super) first: i64,
    pub(super) last: i64,
}

impl Period {
    pub(super) const ALWAYS: Self = Self { first: i64::MIN, last: i64::MAX };

    pub(super) fn contains(&self, time: i64) -> bool {
        (self.first..=self.last).contains(&time)
    }

    pub(super) fn intersection(self, other: Self) -> Self {
        Self { first: self.first.max(other.first), last: self.last.min(other.last) }
    }

    /// As far around `now` as nothing changes that is one thing before `date` and another from then
    /// on.
    pub(super) fn up_to(self, date: i64, now: i64) -> Self {
        self.intersection(match now < date {
            true => Self { first: i64::MIN, last: date - 1 },
            false => Self { first: date, last: i64::MAX },
        })
    }
}

impl Outcomes {
    /// What was found of the same chain for the same subject, if it holds `now`.
    pub(super) fn find(
        &self,
        chain: &[CertificateDer<'_>],
        subject: Subject<'_>,
        now: i64,
    ) -> Option<Arc<Report>> {
        let mut kept = self.lock();
        let place = kept.iter().position(|outcome| outcome.is_of(chain, subject))?;
        // What is over is not looked for again, unless the clock goes back.
        let outcome = kept.remove(place).filter(|outcome| outcome.period.contains(now))?;
        let report = outcome.report.clone();
        kept.push_front(outcome);
        Some(report)
    }

    /// The key of the leaf of any chain that was found in order, at whatever time.
    pub(super) fn key_of(
        &self,
        leaf: &CertificateDer<'_>,
    ) -> Option<SubjectPublicKeyInfoDer<'static>> {
        let kept = self.lock();
        let is_of = |outcome: &&Outcome| {
            outcome.report.chain.first().is_some_and(|der| der[..] == *leaf.as_ref())
        };
        kept.iter().find(is_of).map(|outcome| outcome.key.clone())
    }

    /// Keeps a report on a chain, if it is one of which nothing is wrong. `lists` is how long what
    /// revocation lists say stays the same.
    pub(super) fn keep(
        &self,
        chain: &[CertificateDer<'_>],
        subject: Subject<'_>,
        now: i64,
        lists: Period,
        report: &Arc<Report>,
    ) {
        let size: usize = chain.iter().map(|certificate| certificate.len()).sum();
        if report.error.is_some() || report.causes != 0 || size > SIZE_LIMIT {
            return;
        }
        let name = match subject {
            Subject::Named(name) => Some(name.to_owned()),
            Subject::Any => None,
            Subject::Unknown => return,
        };
        // Those of certificates that lead nowhere, too: that makes it no longer.
        let Some(dates) = chain.iter().map(|der| dates(der)).collect::<Option<Vec<_>>>() else {
            return;
        };
        let period = dates.into_iter().fold(lists, Period::intersection);
        if !period.contains(now) {
            return;
        }
        let Some(key) = chain.first().and_then(public_key) else { return };
        let mut kept = self.lock();
        // Another thread may have come first.
        kept.retain(|outcome| !outcome.is_of(chain, subject));
        kept.push_front(Outcome { name, report: report.clone(), key, period });
        kept.truncate(LIMIT);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Outcome>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outcome {
    fn is_of(&self, chain: &[CertificateDer<'_>], subject: Subject<'_>) -> bool {
        let is_subject = match (subject, &self.name) {
            (Subject::Named(name), Some(kept)) => name == kept,
            (Subject::Any, None) => true,
            _ => false,
        };
        let kept = &self.report.chain;
        is_subject
            && chain.len() == kept.len()
            && chain.iter().zip(kept).all(|(one, other)| one.as_ref() == &other[..])
    }
}

/// webpki counts the last second, too.
fn dates(certificate: &[u8]) -> Option<Period> {
    let facts = Facts::parse(certificate)?;
    Some(Period { first: facts.not_before, last: facts.not_after })
}

/// How many a verifier keeps: more than a program has peers that it connects to again and again.
const LIMIT: usize = 64;
/// Of one chain; others are verified each time.
const SIZE_LIMIT: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustls::pki_types::UnixTime;

    use super::*;
    use crate::verify::name::PeerName;
    use crate::verify::report::{
        CAUSE_EXPIRED, CAUSE_NAME, CAUSE_NOT_YET_VALID, CAUSE_REVOCATION_UNKNOWN,
    };
    use crate::verify::revocation::Lists;
    use crate::verify::tests::fixtures::{Ca, END, NOW, START, set_dates, trusting};
    use crate::verify::verifier::{Mode, Verifier};

    /// What a verifier finds at `time`, for `name`.
    fn look(
        verifier: &Verifier,
        chain: &[&CertificateDer<'static>],
        name: &str,
        time: i64,
    ) -> Arc<Report> {
        let chain: Vec<_> = chain.iter().map(|der| (*der).clone()).collect();
        let name = PeerName::parse(name).unwrap();
        let time = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(time).unwrap()));
        verifier.examine(&chain, Some(name.server_name()), time)
    }

    #[test]
    fn the_same_chain_for_the_same_name_is_not_verified_again() {
        let root = Ca::root("Root");
        let middle = root.intermediate("Middle", |_| {});
        let [leaf, other] = [(); 2].map(|()| middle.leaf(&["a.test", "b.test"], |_| {}));
        let verifier = Verifier::new(&trusting(&[&root.der]), Mode::Reject).unwrap();
        let at = |chain: &[&CertificateDer<'static>], name: &str, time: i64| {
            look(&verifier, chain, name, time)
        };
        let (now, chain) = (NOW as i64, [&leaf.der, &middle.der]);
        let first = at(&chain, "a.test", now);
        assert_eq!(first.error, None);
        assert!(Arc::ptr_eq(&first, &at(&chain, "a.test", now + 1)));
        assert!(Arc::ptr_eq(&first, &at(&chain, "A.test", END)), "the last second");
        for (chain, name) in [
            (&chain[..], "b.test"),
            (&[&other.der, &middle.der], "a.test"),
            (&[&leaf.der, &middle.der, &root.der], "a.test"),
        ] {
            let another = at(chain, name, now);
            assert_eq!(another.error, None);
            assert!(!Arc::ptr_eq(&first, &another), "{name}");
        }
        assert_eq!(at(&chain, "c.test", now).causes, CAUSE_NAME);
        assert!(at(&[&leaf.der], "a.test", now).error.is_some(), "without what leads to the root");
        assert!(Arc::ptr_eq(&first, &at(&chain, "a.test", now)), "still");
    }

    #[test]
    fn dates_end_it_on_either_side_and_those_of_every_certificate() {
        let root = Ca::root("Root");
        let middle =
            root.intermediate("Middle", |params| set_dates(params, (2026, 3, 1), (2026, 9, 1)));
        let (march, september) = (1_772_323_200, 1_788_220_800);
        let leaf = middle.leaf(&["a.test"], |_| {});
        let verifier = Verifier::new(&trusting(&[&root.der]), Mode::Reject).unwrap();
        let causes = |time: i64| look(&verifier, &[&leaf.der, &middle.der], "a.test", time).causes;
        for time in [march, september] {
            assert_eq!(causes(time), 0);
        }
        assert_eq!(causes(september + 1), CAUSE_EXPIRED, "the intermediate");
        assert_eq!(causes(march), 0, "the clock has gone back");
        assert_eq!(causes(march - 1), CAUSE_NOT_YET_VALID);
        assert_eq!(causes(START - 1), CAUSE_NOT_YET_VALID, "the leaf too");
        assert_eq!(causes(END + 1), CAUSE_EXPIRED);
    }

    #[test]
    fn the_dates_of_revocation_lists_end_it_too() {
        let root = Ca::root("Root");
        let leaf = root.leaf(&["a.test"], |_| {});
        let mut trust = trusting(&[&root.der]);
        for (first, last) in [((2026, 2, 1), (2026, 4, 1)), ((2026, 5, 1), (2026, 8, 1))] {
            let list = root.revokes(&[], |params| {
                params.this_update = rcgen::date_time_ymd(first.0, first.1, first.2);
                params.next_update = rcgen::date_time_ymd(last.0, last.1, last.2);
            });
            trust.add_lists(Lists::read(&list)).unwrap();
        }
        let verifier = Verifier::new(&trust, Mode::Reject).unwrap();
        let causes = |time: i64| look(&verifier, &[&leaf.der], "a.test", time).causes;
        let (april, may, august) = (1_775_001_600, 1_777_593_600, 1_785_542_400);
        for _ in 0..2 {
            for (time, found) in [
                (april - 1, 0),
                (april, CAUSE_REVOCATION_UNKNOWN),
                (may - 1, CAUSE_REVOCATION_UNKNOWN),
                (may, 0),
                (august - 1, 0),
                (august, CAUSE_REVOCATION_UNKNOWN),
            ] {
                assert_eq!(causes(time), found, "{time}");
            }
        }
    }

    #[test]
    fn what_is_wrong_and_what_is_long_is_not_kept_nor_more_than_a_limit() {
        let root = Ca::root("Root");
        let verifier = Verifier::new(&trusting(&[&root.der]), Mode::Provisional).unwrap();
        let again = |chain: &[&CertificateDer<'static>], name: &str| {
            let [one, other] = [(); 2].map(|()| look(&verifier, chain, name, NOW as i64));
            assert_eq!(one.causes, other.causes);
            Arc::ptr_eq(&one, &other)
        };
        let leaf = root.leaf(&["*.a.test"], |_| {});
        assert!(!again(&[&leaf.der], "b.test"), "it is for another name");
        let names: Vec<_> = (0..1000).map(|number| format!("name-{number}.a.test")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let long = root.leaf(&names, |_| {});
        assert_eq!(look(&verifier, &[&long.der], names[0], NOW as i64).causes, 0);
        assert!(!again(&[&long.der], names[0]));

        let first = look(&verifier, &[&leaf.der], "first.a.test", NOW as i64);
        for name in &names[..LIMIT - 1] {
            assert!(again(&[&leaf.der], name));
        }
        assert!(Arc::ptr_eq(&first, &look(&verifier, &[&leaf.der], "first.a.test", NOW as i64)));
        assert!(again(&[&leaf.der], names[LIMIT]), "in the place of the one used longest ago");
        assert!(Arc::ptr_eq(&first, &look(&verifier, &[&leaf.der], "first.a.test", NOW as i64)));
    }
}
