use super::{
    StrategyError, Task,
    layers::{Layers, Places},
};
use crate::{
    growth::{
        Growth, Transform, TransformKind,
        transform::{
            AttentionExpansion, HeadAddition, HeadsExpansion, HiddenExpansion, LayerAddition,
            MlpExpansion,
        },
    },
    model::{Architecture, HeadShape, LayerShape},
};

/// The way from an architecture to a target: what is there, what is still missing, and the
/// transforms taken so far.
///
/// Strategies call [`GrowthPath::advance`] with one of the six axes; the route knows which layers
/// and heads lack how much.
#[derive(Clone)]
pub(super) struct GrowthPath<'a> {
    now: Architecture,
    target: &'a Architecture,
    /// For each present layer, the layer of the target that it will become.
    images: Vec<usize>,
    /// The layers of the target that are not there yet, in the order in which they come.
    absent: Vec<usize>,
    taken: Vec<Growth>,
}

impl<'a> GrowthPath<'a> {
    /// A route at its begin.
    pub fn new(task: &Task<'a>, layers: Layers) -> Result<Self, StrategyError> {
        check_reachable(task)?;
        let fits = |a: &LayerShape, b: &LayerShape| {
            // Under QK-norm no key grows.
            let same_keys = || a.heads.iter().zip(&b.heads).all(|(a, b)| a.d_k == b.d_k);
            a.fits(b) && (task.initial.form.qk_norm_eps.is_none() || same_keys())
        };
        let Some(Places { images, absent }) = layers.places(task, fits) else {
            let why = "some layer of the initial architecture is larger than every layer of the \
                       target that it could become (or has another d_k, which can't grow under \
                       QK-norm)";
            return Err(StrategyError::Unreachable(why.into()));
        };
        let now = task.initial.clone();
        Ok(Self { now, target: task.target, images, absent, taken: vec![] })
    }

    /// The axes on which something is missing.
    pub fn missing(&self) -> Vec<TransformKind> {
        let open = |kind: &TransformKind| match kind {
            TransformKind::HiddenExpansion => self.now.d_model < self.target.d_model,
            TransformKind::LayerAddition => self.now.layers.len() < self.target.layers.len(),
            TransformKind::MlpExpansion => self.pairs().any(|(_, now, goal)| now.d_ff < goal.d_ff),
            TransformKind::HeadAddition => {
                let fewer = |(_, _, now, goal): (usize, usize, HeadShape, HeadShape)| {
                    now.n_queries < goal.n_queries
                };
                self.pairs().any(|(_, now, goal)| now.heads.len() < goal.heads.len())
                    || self.head_pairs().any(fewer)
            }
            TransformKind::AttentionExpansion => {
                self.head_pairs().any(|(_, _, now, goal)| now.d_k < goal.d_k)
            }
            TransformKind::HeadsExpansion => {
                self.head_pairs().any(|(_, _, now, goal)| now.d_v < goal.d_v)
            }
        };
        TransformKind::ALL.into_iter().filter(open).collect()
    }

    /// Grows one axis in every chosen (layer, head) by `amount` of what is missing there.
    pub fn advance(
        &mut self,
        kind: TransformKind,
        chosen: impl Fn(usize, usize) -> bool,
        amount: impl Fn(usize) -> usize,
    ) {
        match kind {
            TransformKind::HiddenExpansion => {
                let d_model = self.now.d_model + amount(self.target.d_model - self.now.d_model);
                self.take_if(d_model > self.now.d_model, HiddenExpansion { d_model }.into());
            }
            TransformKind::MlpExpansion => self.widen_mlps(chosen, amount),
            TransformKind::HeadAddition => self.add_heads(chosen, amount),
            TransformKind::AttentionExpansion => self.widen_heads(chosen, amount, KEY),
            TransformKind::HeadsExpansion => self.widen_heads(chosen, amount, VALUE),
            TransformKind::LayerAddition => self.add_layers(amount),
        }
    }

    /// Grows one axis everywhere, all the way.
    pub fn close(&mut self, kind: TransformKind) {
        self.advance(kind, |_, _| true, |gap| gap);
    }

    /// Grows whatever is still missing, all the way.
    pub fn close_all(&mut self) {
        while let Some(&kind) = self.missing().first() {
            self.close(kind);
        }
    }

    /// The transforms taken since the last call.
    pub fn transforms(&mut self) -> Vec<Growth> {
        std::mem::take(&mut self.taken)
    }

    /// How many layers are there now.
    pub fn n_layers(&self) -> usize {
        self.now.layers.len()
    }

    fn take(&mut self, transform: Transform) {
        let grown =
            transform.grow(&self.now).expect("a route takes only transforms toward a valid target");
        self.now = grown.architecture;
        self.taken.push(transform.into());
    }

    fn take_if(&mut self, useful: bool, transform: Transform) {
        if useful {
            self.take(transform);
        }
    }

    fn pairs(&self) -> impl Iterator<Item = (usize, &LayerShape, &LayerShape)> {
        let goals = self.images.iter().map(|&image| &self.target.layers[image]);
        self.now.layers.iter().zip(goals).enumerate().map(|(layer, (now, goal))| (layer, now, goal))
    }

    fn head_pairs(&self) -> impl Iterator<Item = (usize, usize, HeadShape, HeadShape)> {
        self.pairs().flat_map(|(layer, now, goal)| {
            now.heads
                .iter()
                .zip(&goal.heads)
                .enumerate()
                .map(move |(head, (now, goal))| (layer, head, *now, *goal))
        })
    }

    fn widen_mlps(
        &mut self,
        chosen: impl Fn(usize, usize) -> bool,
        amount: impl Fn(usize) -> usize,
    ) {
        let goal_of = |(layer, now, goal): (usize, &LayerShape, &LayerShape)| {
            now.d_ff + if chosen(layer, 0) { amount(goal.d_ff - now.d_ff) } else { 0 }
        };
        let goals: Vec<usize> = self.pairs().map(goal_of).collect();
        if let Some(d_ff) = same(goals.iter().copied()) {
            let useful = self.now.layers.iter().any(|layer| layer.d_ff < d_ff);
            return self.take_if(useful, MlpExpansion { layer: None, d_ff }.into());
        }
        for (layer, d_ff) in goals.into_iter().enumerate() {
            let now = &self.now.layers[layer];
            let useful = now.of.is_none() && now.d_ff < d_ff;
            self.take_if(useful, MlpExpansion { layer: Some(layer), d_ff }.into());
        }
    }

    /// New queries for the heads that are there, then new heads, which begin at the sizes of the
    /// layer's last head, or at the target's where that is smaller.
    fn add_heads(
        &mut self,
        chosen: impl Fn(usize, usize) -> bool,
        amount: impl Fn(usize) -> usize,
    ) {
        let own = |layer: &usize| self.now.layers[*layer].of.is_none();
        let layers: Vec<usize> = (0..self.now.layers.len()).filter(own).collect();
        for layer in layers.into_iter().filter(|&layer| chosen(layer, 0)) {
            let goal = &self.target.layers[self.images[layer]];
            let pairs = self.now.layers[layer].heads.iter().zip(&goal.heads);
            let gaps: Vec<usize> =
                pairs.map(|(now, goal)| amount(goal.n_queries - now.n_queries)).collect();
            if let Some(gap) = same(gaps.iter().copied()) {
                self.take_if(gap > 0, HeadAddition::queries(Some(layer), None, gap).into());
            } else {
                for (head, gap) in gaps.into_iter().enumerate() {
                    self.take_if(
                        gap > 0,
                        HeadAddition::queries(Some(layer), Some(vec![head]), gap).into(),
                    );
                }
            }
            let (n, last) = (
                self.now.layers[layer].heads.len(),
                *self.now.layers[layer].heads.last().expect("a head"),
            );
            let new = &goal.heads[n..n + amount(goal.heads.len() - n)];
            for run in new.chunk_by(|a, b| smaller_head(a, &last) == smaller_head(b, &last)) {
                let shape = smaller_head(&run[0], &last);
                let last = *self.now.layers[layer].heads.last().expect("a head");
                self.take(HeadAddition::of_shape(Some(layer), run.len(), shape, last).into());
            }
        }
    }

    fn widen_heads(
        &mut self,
        chosen: impl Fn(usize, usize) -> bool,
        amount: impl Fn(usize) -> usize,
        width: HeadWidth,
    ) {
        let form = self.now.form;
        let goal_of = |(layer, head, now, goal): (usize, usize, HeadShape, HeadShape)| {
            let (now, goal) = ((width.of)(now), (width.of)(goal));
            let to = now + if chosen(layer, head) { amount(goal - now) } else { 0 };
            (layer, head, now, if width.is_key { form.whole_d_k(to) } else { to })
        };
        let goals: Vec<_> = self.head_pairs().map(goal_of).collect();
        if let Some(to) = same(goals.iter().map(|goal| goal.3)) {
            return self
                .take_if(goals.iter().any(|goal| goal.2 < to), (width.grow)(None, None, to));
        }
        for of_layer in goals.chunk_by(|a, b| a.0 == b.0) {
            let layer = of_layer[0].0;
            if self.now.layers[layer].of.is_some() {
                continue;
            }
            if let Some(to) = same(of_layer.iter().map(|goal| goal.3)) {
                self.take_if(
                    of_layer.iter().any(|goal| goal.2 < to),
                    (width.grow)(Some(layer), None, to),
                );
                continue;
            }
            let mut sizes: Vec<usize> =
                of_layer.iter().filter(|goal| goal.2 < goal.3).map(|goal| goal.3).collect();
            sizes.sort_unstable();
            sizes.dedup();
            for to in sizes {
                let heads =
                    of_layer.iter().filter(|g| g.2 < g.3 && g.3 == to).map(|g| g.1).collect();
                self.take((width.grow)(Some(layer), Some(heads), to));
            }
        }
    }

    /// New layers begin at the sizes of their neighbour, or at the target's where that is smaller.
    fn add_layers(&mut self, amount: impl Fn(usize) -> usize) {
        let n = amount(self.absent.len());
        let mut chosen: Vec<usize> = self.absent.drain(..n).collect();
        chosen.sort_unstable();
        for image in chosen {
            let index = self.images.iter().filter(|&&present| present < image).count();
            let (neighbour, goal) =
                (&self.now.layers[index.saturating_sub(1)], &self.target.layers[image]);
            let mut shape = smaller(neighbour, goal);
            if self.now.form.qk_norm_eps.is_some() {
                shape
                    .heads
                    .iter_mut()
                    .zip(&goal.heads)
                    .for_each(|(head, goal)| head.d_k = goal.d_k);
            }
            self.take(LayerAddition { index, shape: Some(shape) }.into());
            self.images.insert(index, image);
        }
    }
}

/// One of the two widths of a head: how to read it, and the transform that enlarges it.
#[derive(Clone, Copy)]
struct HeadWidth {
    is_key: bool,
    of: fn(HeadShape) -> usize,
    grow: fn(Option<usize>, Option<Vec<usize>>, usize) -> Transform,
}

const KEY: HeadWidth = HeadWidth {
    is_key: true,
    of: |head| head.d_k,
    grow: |layer, heads, d_k| AttentionExpansion { layer, heads, d_k }.into(),
};
const VALUE: HeadWidth = HeadWidth {
    is_key: false,
    of: |head| head.d_v,
    grow: |layer, heads, d_v| HeadsExpansion { layer, heads, d_v }.into(),
};

fn same(mut sizes: impl Iterator<Item = usize>) -> Option<usize> {
    let first = sizes.next()?;
    sizes.all(|size| size == first).then_some(first)
}

fn smaller(a: &LayerShape, b: &LayerShape) -> LayerShape {
    let heads = a.heads.iter().zip(&b.heads).map(|(a, b)| smaller_head(a, b)).collect();
    LayerShape::own(heads, a.d_ff.min(b.d_ff))
}

fn smaller_head(a: &HeadShape, b: &HeadShape) -> HeadShape {
    HeadShape {
        n_queries: a.n_queries.min(b.n_queries),
        d_k: a.d_k.min(b.d_k),
        d_v: a.d_v.min(b.d_v),
    }
}

fn check_reachable(task: &Task) -> Result<(), StrategyError> {
    let (initial, target) = (task.initial, task.target);
    let unreachable = |text: String| Err(StrategyError::Unreachable(text));
    for (what, from, to) in [
        ("vocab_size", initial.vocab_size, target.vocab_size),
        ("n_outputs", initial.n_outputs, target.n_outputs),
        ("seq_len", initial.seq_len, target.seq_len),
    ] {
        if from != to {
            return unreachable(format!(
                "no transform changes {what}, but it is {from} and should become {to}"
            ));
        }
    }
    if initial.form != target.form {
        return unreachable(
            "no transform changes the form (norms, positions, activation, biases, ...), but those \
             of the two differ"
                .into(),
        );
    }
    if initial.d_model > target.d_model {
        return unreachable(format!(
            "d_model would shrink from {} to {}",
            initial.d_model, target.d_model
        ));
    }
    if initial.d_model < target.d_model {
        let wider = Transform::from(HiddenExpansion { d_model: target.d_model }).grow(initial);
        wider.map_err(|error| StrategyError::Unreachable(error.to_string()))?;
    }
    let owners = |a: &Architecture| a.layers.iter().map(|layer| layer.of).collect::<Vec<_>>();
    if (initial.shares() || target.shares()) && owners(initial) != owners(target) {
        return unreachable(
            "no transform changes which layers use the weights of others; the operators untie and \
             add_passes do"
                .into(),
        );
    }
    if initial.layers.len() > target.layers.len() {
        return unreachable(format!(
            "n_layers would shrink from {} to {}",
            initial.layers.len(),
            target.layers.len()
        ));
    }
    // The common mistake in words of its own: an axis that is smaller in every layer of the target.
    for (what, sizes) in SIZES {
        let least = initial.layers.iter().flat_map(sizes).min().unwrap_or(0);
        let most = target.layers.iter().flat_map(sizes).max().unwrap_or(0);
        if least > most {
            return unreachable(format!("{what} would shrink from {least} to {most}"));
        }
    }
    Ok(())
}

type Sizes = fn(&LayerShape) -> Vec<usize>;
const SIZES: [(&str, Sizes); 4] = [
    ("d_ff", |layer| vec![layer.d_ff]),
    ("n_heads", |layer| vec![layer.n_heads()]),
    ("d_k", |layer| layer.heads.iter().map(|head| head.d_k).collect()),
    ("d_v", |layer| layer.heads.iter().map(|head| head.d_v).collect()),
];
