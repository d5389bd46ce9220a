//! Who has died: by their silence, as one observer hears it.
//!
//! No two clocks are compared. An observer remembers when, by its own clock that nobody sets, it
//! first saw a holder's last heartbeat; if that does not change for the time of a lease, the holder
//! is dead. So clocks that differ between machines or are set back do no harm, and an observer that
//! slept, or could not reach the database, begins to listen anew.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use outgrow_store::{Held, Holder, Store, StoreError};

use crate::is_dead;

/// A worker says this often that it lives.
pub const HEARTBEAT_EVERY: Duration = Duration::from_secs(5);
/// One that is silent for so long has lost its trials: within three heartbeats somebody has
/// noticed.
pub(crate) const LEASE: Duration = Duration::from_millis(12_500);
/// How often an observer looks.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(1);
/// An observer that did not look for so long has not listened.
const LONGEST_GAP: Duration = Duration::from_secs(5);

/// What an observer has heard.
#[derive(Default)]
pub(crate) struct Reaper {
    heard: BTreeMap<i64, (f64, Instant)>,
    looked: Option<Instant>,
}

impl Reaper {
    /// Those of the attempts that are dead: certainly, as `is_dead` knows of processes on its own
    /// machine, or as their silence says.
    fn dead(
        &mut self,
        held: Vec<Held>,
        now: Instant,
        is_dead: impl Fn(&Holder) -> bool,
    ) -> Vec<Held> {
        if self.looked.replace(now).is_none_or(|before| now.duration_since(before) > LONGEST_GAP) {
            self.heard.clear();
        }
        let heard = std::mem::take(&mut self.heard);
        let mut silent = |one: &Held| {
            let before = heard.get(&one.attempt).filter(|(beat, _)| *beat == one.beat);
            let since = before.map_or(now, |(_, since)| *since);
            self.heard.insert(one.attempt, (one.beat, since));
            now.duration_since(since) >= LEASE
        };
        held.into_iter().filter(|one| silent(one) || is_dead(&one.holder)).collect()
    }

    /// Takes their trials from the dead; `log` is what a worker said last, if that is known. Before
    /// that `reap` is told of each: one that was stopped in the middle of writing holds the lock of
    /// a SQLite file, and as long as it is there nobody can write.
    pub async fn reap(
        &mut self,
        store: &Store,
        sweep: &str,
        log: impl Fn(&Holder) -> Option<String>,
        mut reap: impl FnMut(&Holder),
    ) -> Result<(), StoreError> {
        for dead in self.dead(store.held(sweep).await?, Instant::now(), is_dead) {
            reap(&dead.holder);
            store.release(&dead, log(&dead.holder).as_deref()).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(attempt: i64, beat: f64) -> Held {
        let holder =
            Holder { host: "there".into(), boot: "b".into(), pid: 1, started: 1, job: None };
        Held { trial: attempt, attempt, holder, beat }
    }

    /// The attempts that an observer calls dead, second by second, of one whose beats come at the
    /// given seconds.
    fn deaths(beat_at: impl Fn(u64) -> f64, looks: impl Fn(u64) -> bool, seconds: u64) -> Vec<u64> {
        let (mut reaper, began) = (Reaper::default(), Instant::now());
        let look = |second: &u64| {
            let now = began + Duration::from_secs(*second);
            looks(*second)
                && !reaper.dead(vec![held(1, beat_at(*second))], now, |_| false).is_empty()
        };
        (0..seconds).filter(look).collect()
    }

    #[test]
    fn who_falls_silent_is_dead_within_three_heartbeats() {
        // It beats every 5 seconds until it dies in the 20th.
        let dead = deaths(|second| (second.min(20) / 5) as f64, |_| true, 40);
        assert!(dead[0] > 20 && dead[0] <= 20 + 15, "{dead:?}");
    }

    #[test]
    fn clocks_do_not_matter() {
        // The holder's clock is years behind and goes back every now and then.
        assert_eq!(deaths(|second| -((second / 5) as f64 * 1e6), |_| true, 200), [0; 0]);
    }

    #[test]
    fn an_observer_that_did_not_look_listens_anew() {
        // The database was away from 10 to 60: nobody could beat, and nobody is taken for dead at
        // once.
        let away = |second: u64| (10..60).contains(&second);
        let beat =
            |second: u64| if away(second) || second < 63 { 1.0 } else { (second / 5) as f64 };
        assert_eq!(deaths(beat, |second| !away(second), 200), [0; 0]);
    }

    #[test]
    fn processes_that_are_gone_need_no_silence() {
        let (mut reaper, now) = (Reaper::default(), Instant::now());
        let (here, there) = (Holder { host: "here".into(), ..held(1, 0.0).holder }, held(2, 0.0));
        let all = vec![Held { holder: here, ..held(1, 0.0) }, there];
        let dead = reaper.dead(all, now, |holder| holder.host == "here");
        assert_eq!(dead.iter().map(|one| one.attempt).collect::<Vec<_>>(), [1]);
    }
}
