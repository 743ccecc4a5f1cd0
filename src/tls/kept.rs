//! What is expensive to make and worth sharing, by what it was made from.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::error::Result;

/// Finds what is in use anywhere, and keeps what was used last even if nobody does.
pub struct Kept<K, V> {
    state: Mutex<State<K, V>>,
}

struct State<K, V> {
    known: HashMap<K, Weak<V>>,
    /// The one used last at the end.
    recent: VecDeque<Arc<V>>,
}

impl<K: Eq + Hash, V> Kept<K, V> {
    /// The value for `key`, which `make` makes if there is none.
    pub fn get_or_make(&self, key: K, make: impl FnOnce(&K) -> Result<V>) -> Result<Arc<V>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { known, recent } = &mut *state;
        let value = match known.get(&key).and_then(Weak::upgrade) {
            Some(value) => value,
            None => {
                let value = Arc::new(make(&key)?);
                known.insert(key, Arc::downgrade(&value));
                value
            }
        };
        recent.retain(|other| !Arc::ptr_eq(other, &value));
        recent.push_back(value.clone());
        if recent.len() > KEPT {
            recent.pop_front();
            known.retain(|_, value| value.strong_count() > 0);
        }
        Ok(value)
    }
}

impl<K, V> Default for Kept<K, V> {
    fn default() -> Self {
        Self { state: Mutex::new(State { known: HashMap::new(), recent: VecDeque::new() }) }
    }
}

const KEPT: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_last_stays_and_what_is_in_use_is_found() -> Result<()> {
        let kept = Kept::default();
        let make = |key: &usize| Ok(*key);
        let in_use = kept.get_or_make(0, make)?;
        let first = Arc::downgrade(&kept.get_or_make(1, make)?);
        for key in 2..=KEPT {
            kept.get_or_make(1, make)?;
            kept.get_or_make(key, make)?;
        }
        assert!(first.upgrade().is_some(), "used again and again");
        for key in 2 * KEPT..3 * KEPT {
            kept.get_or_make(key, make)?;
        }
        assert!(first.upgrade().is_none(), "others were used since");
        assert!(Arc::ptr_eq(&in_use, &kept.get_or_make(0, make)?));
        assert_eq!(kept.state.lock().unwrap().recent.len(), KEPT);
        Ok(())
    }

    #[test]
    fn what_could_not_be_made_is_not_kept() -> Result<()> {
        let kept = Kept::<u8, u8>::default();
        assert!(kept.get_or_make(1, |_| Err(crate::error::Error::internal("test"))).is_err());
        assert_eq!(*kept.get_or_make(1, |key| Ok(*key))?, 1);
        Ok(())
    }
}
