//! Training trials to their ends, one or several as one model.

use std::{collections::BTreeMap, slice};

use outgrow_core::{
    Event,
    event::{Control, Outcome, Receiver},
};
use outgrow_data::Corpus;

use super::{
    job::{Job, Options, TrainError},
    member::Member,
    session::{Group, Session},
    start::start,
};

/// Trains a trial to its end, until it diverges, or until the receiver of its events says stop.
///
/// The events of an attempt that goes on from a checkpoint continue those before it: together they
/// are, on a CPU, bit for bit the events of an undisturbed training.
///
/// # Errors
/// If a checkpoint can't be written, or a growth does not preserve the function.
pub fn train(
    job: &Job,
    corpus: &Corpus,
    options: &Options,
    on_event: &mut dyn FnMut(Event) -> Control,
) -> Result<Outcome, TrainError> {
    train_together(slice::from_ref(job), corpus, options, &mut |_: usize, event: Event| {
        on_event(event)
    })
    .remove(0)
}

/// Trains replicates, trials of one plan and the same settings under different seeds, as one model
/// with a leading axis; tells of each job's events with its number. Gives how each ended. The
/// results agree with those of each alone but for rounding.
///
/// Those that stand at different steps, after a worker's death, are trained one group after
/// another. `wall_seconds` is the time of all together.
///
/// # Panics
/// If the trials are not replicates of each other.
pub fn train_together(
    jobs: &[Job],
    corpus: &Corpus,
    options: &Options,
    receiver: &mut dyn Receiver,
) -> Vec<Result<Outcome, TrainError>> {
    let together = jobs.iter().skip(1).all(|job| job.trial.trains_with(&jobs[0].trial));
    assert!(together, "only replicates of one plan that move at one rate are trained together");
    let mut groups: BTreeMap<(u64, bool), Group> = BTreeMap::new();
    let mut ended: Vec<_> = jobs.iter().map(|_| Ok(Outcome::Stopped)).collect();
    for (number, job) in jobs.iter().enumerate() {
        let (state, progress) = match start(job, options.device) {
            Ok(begun) => begun,
            Err(error) => {
                ended[number] = Err(error);
                continue;
            }
        };
        groups.entry((progress.at.step, progress.evaluation_due)).or_default().push((
            Member::new(number, job),
            state,
            progress,
        ));
    }
    for group in groups.into_values() {
        let mut session = Session::begin(group, corpus, options);
        while !session.members.is_empty() {
            session.advance(receiver);
            session.part();
        }
        session.ended.into_iter().for_each(|(number, how)| ended[number] = how);
    }
    ended
}
