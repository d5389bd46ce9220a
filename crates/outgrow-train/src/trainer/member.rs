//! One trial of those that are trained together, and what its receiver wants.

use std::path::PathBuf;

use outgrow_core::{
    Event,
    event::{Control, Outcome, Receiver},
};
use outgrow_data::Order;

use super::job::{Job, TrainError};
use crate::mask::Mask;

/// One trial of those in training.
pub(super) struct Member<'a> {
    pub(super) number: usize,
    pub(super) job: &'a Job,
    pub(super) order: Order,
    /// Of the last stage, until it is open.
    pub(super) mask: Option<Mask>,
    pub(super) saved: Vec<PathBuf>,
    /// How it ended, once it has: then nothing more is told of it.
    pub(super) ended: Option<Result<Outcome, TrainError>>,
    /// Its receiver said stop.
    pub(super) stop: bool,
}

impl<'a> Member<'a> {
    pub(super) fn new(number: usize, job: &'a Job) -> Self {
        let saved = job.resume.iter().rev().map(|saved| saved.folder.clone()).collect();
        Self {
            number,
            job,
            order: Order::new(job.trial.seed),
            mask: None,
            saved,
            ended: None,
            stop: false,
        }
    }

    /// Tells of an event, unless the trial has ended, and obeys; says what the receiver wants.
    pub(super) fn tell(&mut self, receiver: &mut dyn Receiver, event: Event) -> Control {
        if self.ended.is_some() {
            return Control::Abandon;
        }
        let request = receiver.tell(self.number, event);
        self.obey(request);
        request
    }

    pub(super) fn obey(&mut self, request: Control) {
        match request {
            Control::Continue | Control::Spooled => {}
            Control::Stop => self.stop = true,
            Control::Abandon => self.end(Ok(Outcome::Stopped)),
        }
    }

    /// Ends the trial, if it has not ended already.
    pub(super) fn end(&mut self, how: Result<Outcome, TrainError>) {
        self.ended.get_or_insert(how);
    }
}

/// Asks the receiver what it wants of each member.
pub(super) fn obey(members: &mut [Member], receiver: &dyn Receiver) {
    members.iter_mut().for_each(|member| member.obey(receiver.request(member.number)));
}

/// Whether nobody is left who wants to go on.
pub(super) fn is_over(members: &[Member]) -> bool {
    members.iter().all(|member| member.stop || member.ended.is_some())
}
