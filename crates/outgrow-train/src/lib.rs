//! The libtorch side of outgrow: the model, growing its whole training state, the training loop,
//! checkpoints.
//!
//! It knows tensors and files, and nothing of databases, processes or figures: [`train`] blocks,
//! tells what happens through a callback, and can be told to stop through what the callback
//! returns. Which edits a growth consists of it takes from `outgrow-core`; the same list is
//! executed on weights and optimizer moments.

mod aside;
pub mod bench;
pub mod checkpoint;
pub mod device;
pub mod doctor;
mod dtype;
mod evaluate;
mod finite;
mod fitted;
mod fused;
mod grow_verified;
pub mod hub;
mod initial_weights;
mod mask;
mod model;
mod optimizer;
mod predict;
mod room;
mod sample;
mod state;
mod step;
mod tensor;
mod trainer;

pub use aside::asides;
pub use checkpoint::{Checkpoint, CheckpointError, Verified, has_optimizer, remove_others, strip};
pub use device::Device;
pub use evaluate::{EvalError, TextLoss, logits, text_loss};
pub use finite::NotFinite;
pub use grow_verified::{
    CheckKind, CompositionCheck, Compositions, GrowError, GrowRequest, GrownCheckpoint, GrownModel,
    check_checkpoint, check_compositions, grow_verified,
};
pub use initial_weights::{copy_initial_weights, model_digest};
pub use model::{Model, cross_entropy};
pub use predict::{PlanPredictor, PredictorSettings};
pub use room::{NoRoom, check_room};
pub use sample::{SampleError, Sampling, sample};
pub use state::{GrowOptions, Layout, TrainingState};
pub use step::{Phase, Stepped, Stepper, backward, kinds};
pub use tensor::Growable;
pub use trainer::{Job, Options, Prefix, Saved, TrainError, train, train_together};
