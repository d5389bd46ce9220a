//! LiGO's map: its parts, how it makes the large weights, and how it is learned.

use std::collections::{BTreeMap, HashMap};

use outgrow_core::{
    Architecture, LayerShape, Norm, ParamId, ParamKind,
    growth::operator::{Ligo, LigoInitial, LigoOrder},
    model::{Axis, parameters},
    stream::{Stream, stream},
};
use rand::RngExt;
use tch::{
    Kind, Tensor,
    nn::{self, OptimizerConfig},
    no_grad,
};

use super::grew;
use crate::{
    model::{Model, cross_entropy},
    state::{Parts, TrainingState},
    tensor::from_f64,
};

/// Which B a part of an axis belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Channels,
    Queries(usize),
    Keys(usize),
    Values(usize),
    Units(usize),
}

/// The map: what is learned of it, and what follows from the sizes.
struct Map {
    order: LigoOrder,
    /// M of each part that grows, new × old.
    widths: BTreeMap<Part, Tensor>,
    /// w of each kind of layer parameter, new layers × old layers.
    depths: BTreeMap<ParamKind, Tensor>,
    /// For each axis of heads that grows, which row of [I; M] stands at each of its places.
    orders: HashMap<Axis, Tensor>,
    /// What undoes the longer mean of a norm and the larger √d_k of attention, along the last axis.
    scales: HashMap<ParamKind, Tensor>,
}

/// The axes along which heads stand side by side.
const OF_HEADS: [Axis; 4] = [Axis::Query, Axis::Key, Axis::Value, Axis::Mixed];

/// Learns the map on the task's loss, and makes the large weights by it.
pub fn fit(
    ligo: &Ligo,
    before: &TrainingState,
    grown: TrainingState,
    seed: u64,
    batch: &dyn Fn(u64, u64) -> Option<(Tensor, Tensor)>,
) -> Option<TrainingState> {
    let (old, new) = (before.architecture(), grown.architecture().clone());
    let store = nn::VarStore::new(before.weights.device());
    let map = Map::new(ligo, old, &new, seed, before.master(), &store.root());
    let source = before.parts().weights;
    let mut optimizer = nn::AdamW { wd: ligo.weight_decay, ..nn::AdamW::default() }
        .build(&store, ligo.learning_rate)
        .expect("a store with variables");
    for step in 0..ligo.steps {
        let (inputs, targets) = batch(step, ligo.batch_size)?;
        optimizer.set_lr(ligo.rate(step));
        let loss =
            cross_entropy(&Model::new(&new, map.apply(&source, &new)).logits(&inputs), &targets);
        match ligo.clip_norm {
            0.0 => optimizer.backward_step(&loss),
            most => optimizer.backward_step_clip_norm(&loss, most),
        }
    }
    let weights = no_grad(|| map.apply(&source, &new));
    let Parts { first_moment, second_moment, born, .. } = grown.parts();
    Some(TrainingState::from_parts(
        &new,
        Parts { weights, first_moment, second_moment, born },
        grown.step,
    ))
}

impl Map {
    fn new(
        ligo: &Ligo,
        old: &Architecture,
        new: &Architecture,
        seed: u64,
        kind: Kind,
        path: &nn::Path,
    ) -> Self {
        let mut rng = stream(seed, "ligo");
        let (n, n_new) = (old.layers.len(), new.layers.len());
        let made_wide = match ligo.order {
            LigoOrder::WidthFirst => n,
            LigoOrder::DepthFirst => n_new,
        };
        let in_layers = |part: fn(usize) -> Part, of: fn(&LayerShape) -> usize| {
            let sizes = grew(old, new, |architecture| of(&architecture.layers[0]));
            let layers = move |sizes| (0..made_wide).map(move |layer| (part(layer), sizes));
            sizes.into_iter().flat_map(layers)
        };
        let channels = grew(old, new, |a| a.d_model).map(|sizes| (Part::Channels, sizes));
        let axes = (channels.into_iter())
            .chain(in_layers(Part::Queries, |layer| layer.width(Axis::Query)))
            .chain(in_layers(Part::Keys, |layer| layer.width(Axis::Key)))
            .chain(in_layers(Part::Values, |layer| layer.width(Axis::Value)))
            .chain(in_layers(Part::Units, |layer| layer.d_ff));
        let variable = |name: String, shape: [usize; 2], values: Vec<f64>| {
            path.add(&name, from_f64(&shape, &values, kind, path.device()), true)
        };
        let widths = axes.map(|(part, (from, to))| {
            let rows = (from..to).flat_map(|row| match ligo.initial {
                LigoInitial::Select => near(row % from, from, &mut rng),
                _ => normalised((0..from).map(|_| rng.random::<f64>()).collect()),
            });
            (part, variable(format!("width {part:?}"), [to - from, from], rows.collect()))
        });
        let widths: BTreeMap<Part, Tensor> = widths.collect();
        let depths = ParamKind::of_layer(old.form).map(|kind| {
            let source = |layer: usize| match ligo.initial {
                LigoInitial::Interlace => layer * n / n_new,
                _ => layer % n,
            };
            let rows = (0..n_new).flat_map(|layer| near(source(layer), n, &mut rng));
            (kind, variable(format!("depth {kind:?}"), [n_new, n], rows.collect::<Vec<_>>()))
        });
        Self {
            order: ligo.order,
            depths: depths.collect(),
            widths,
            orders: orders(old, new, path.device()),
            scales: scales(old, new, kind, path.device()),
        }
    }

    /// The large weights: Σ_j w_lj B_in W_j B_outᵀ, the sum outside of B or within.
    fn apply(
        &self,
        source: &BTreeMap<ParamId, Tensor>,
        new: &Architecture,
    ) -> BTreeMap<ParamId, Tensor> {
        let wide = |weights: BTreeMap<ParamId, Tensor>| -> BTreeMap<ParamId, Tensor> {
            weights.into_iter().map(|(id, weight)| (id, self.widen(id, &weight))).collect()
        };
        let source = source.iter().map(|(id, weight)| (*id, weight.shallow_clone())).collect();
        match self.order {
            LigoOrder::WidthFirst => self.mixed(&wide(source), new),
            LigoOrder::DepthFirst => wide(self.mixed(&source, new)),
        }
    }

    /// Σ_j w_lj W_j of each layer, as many as `new` has.
    fn mixed(
        &self,
        source: &BTreeMap<ParamId, Tensor>,
        new: &Architecture,
    ) -> BTreeMap<ParamId, Tensor> {
        let make = |id: ParamId| {
            let Some(layer) = id.layer else { return (id, source[&id].shallow_clone()) };
            let of_layers: Vec<&Tensor> = source
                .iter()
                .filter(|(other, _)| other.layer.is_some() && other.kind == id.kind)
                .map(|(_, w)| w)
                .collect();
            let stacked = Tensor::stack(&of_layers, 0);
            let weights = self.depths[&id.kind].select(0, layer as i64);
            (id, weights.matmul(&stacked.flatten(1, -1)).view(&stacked.size()[1..]))
        };
        parameters(new).into_iter().map(make).collect()
    }

    fn widen(&self, id: ParamId, weight: &Tensor) -> Tensor {
        let mut widened = weight.shallow_clone();
        for (dim, &axis) in id.kind.axes().iter().enumerate() {
            let Some(m) = part(id, axis).and_then(|part| self.widths.get(&part)) else { continue };
            // B = [I; M] from the left: what is there, and M times it.
            let turned = widened.transpose(0, dim as i64);
            let rows = Tensor::cat(&[&turned, &m.matmul(&turned.contiguous())], 0);
            let placed = self
                .orders
                .get(&axis)
                .map_or_else(|| rows.shallow_clone(), |order| rows.index_select(0, order));
            widened = placed.transpose(0, dim as i64);
        }
        match self.scales.get(&id.kind) {
            Some(scale) => widened * scale,
            None => widened.contiguous(),
        }
    }
}

/// Head by head: the channels of each old head come first in the head that it becomes, so that no
/// head's channels get into another's.
fn orders(old: &Architecture, new: &Architecture, device: tch::Device) -> HashMap<Axis, Tensor> {
    let (from, to) = (&old.layers[0], &new.layers[0]);
    let growing = OF_HEADS.into_iter().filter(|&axis| from.width(axis) < to.width(axis));
    growing
        .map(|axis| (axis, Tensor::from_slice(&order(axis, from, to)).to_device(device)))
        .collect()
}

fn order(axis: Axis, from: &LayerShape, to: &LayerShape) -> Vec<i64> {
    let mut learned = from.width(axis)..;
    let mut row = |head: usize, channel: usize| match from.heads.get(head) {
        Some(old) if channel < old.width(axis) => from.offset(axis, head) + channel,
        _ => learned.next().expect("no end"),
    };
    let mut rows = vec![];
    for (head, shape) in to.heads.iter().enumerate() {
        rows.extend((0..shape.width(axis)).map(|channel| row(head, channel) as i64));
    }
    rows
}

fn scales(
    old: &Architecture,
    new: &Architecture,
    kind: Kind,
    device: tch::Device,
) -> HashMap<ParamKind, Tensor> {
    // A LayerNorm takes the mean over the new channels, too, which no factor undoes.
    let gain = if old.form.norm == Norm::RmsNorm {
        (old.d_model as f64 / new.d_model as f64).sqrt()
    } else {
        1.0
    };
    let gains = [ParamKind::AttentionNorm, ParamKind::MlpNorm, ParamKind::FinalNorm];
    let keys: Vec<f64> = (new.layers[0].heads.iter().enumerate())
        .flat_map(|(head, shape)| {
            let before = old.layers[0].heads.get(head).map_or(shape.d_k, |old| old.d_k);
            vec![(shape.d_k as f64 / before as f64).sqrt(); shape.d_k]
        })
        .collect();
    let each = gains.into_iter().map(|kind| (kind, vec![gain]));
    let each = each.chain([(ParamKind::Wk, keys.clone()), (ParamKind::Bk, keys)]);
    let undoes = each.filter(|(_, factors)| factors.iter().any(|&factor| factor != 1.0));
    undoes.map(|(of, factors)| (of, from_f64(&[factors.len()], &factors, kind, device))).collect()
}

fn part(id: ParamId, axis: Axis) -> Option<Part> {
    let layer = id.layer.unwrap_or(0);
    match axis {
        Axis::Model => Some(Part::Channels),
        Axis::Query => Some(Part::Queries(layer)),
        Axis::Key => Some(Part::Keys(layer)),
        // One query to a head: what it reads is as wide as the values.
        Axis::Value | Axis::Mixed => Some(Part::Values(layer)),
        Axis::Ff => Some(Part::Units(layer)),
        Axis::Vocab | Axis::Position | Axis::Output | Axis::HeadKey => None,
    }
}

fn normalised(row: Vec<f64>) -> Vec<f64> {
    let sum: f64 = row.iter().sum();
    row.into_iter().map(|value| value / sum).collect()
}

/// One at what is copied, and a little of all.
fn near(copied: usize, n: usize, rng: &mut Stream) -> Vec<f64> {
    normalised(
        (0..n).map(|j| f64::from(u8::from(j == copied)) + rng.random_range(0.0..0.03)).collect(),
    )
}

#[cfg(test)]
mod tests {
    use outgrow_core::{Form, HeadShape};

    use super::*;
    use crate::device::Device;

    /// Without what it learns, the map is the old model: no head's channels get into another's, no
    /// mean and no √d_k changes.
    #[test]
    fn without_its_learned_part_it_is_the_old_model() {
        let plain = Form::decoder(Norm::RmsNorm, 1e-2);
        let all = Form {
            gated: true,
            activation: outgrow_core::Activation::Gelu,
            qkv_bias: true,
            output_bias: true,
            branch_gains: true,
            parallel: true,
            ..plain
        };
        [plain, all].into_iter().for_each(without_its_learned_part);
    }

    fn without_its_learned_part(form: Form) {
        let model = |d, layer: LayerShape| Architecture::uniform(7, 4, d, 2, layer, form);
        let heads = |sizes: &[(usize, usize)], d_ff| {
            let heads =
                sizes.iter().map(|&(d_k, d_v)| HeadShape { n_queries: 1, d_k, d_v }).collect();
            LayerShape::own(heads, d_ff)
        };
        let old = model(4, heads(&[(2, 3), (3, 2)], 5));
        let larger = [
            model(4, heads(&[(3, 3), (3, 2)], 5)),
            model(4, heads(&[(2, 4), (3, 5)], 5)),
            model(4, heads(&[(2, 3), (3, 2), (2, 2)], 5)),
            model(6, heads(&[(2, 3), (3, 2)], 5)),
            model(7, heads(&[(4, 3), (5, 4), (1, 6)], 9)),
        ];
        let mut source = TrainingState::fresh(&old, 1, Kind::Double, Device::Cpu).parts().weights;
        for (id, weight) in source.iter_mut().filter(|(id, _)| !id.kind.decays()) {
            let wave = Tensor::arange(weight.numel() as i64, (Kind::Double, tch::Device::Cpu));
            *weight = &*weight + wave.sin().view(&weight.size()[..]) * 0.1;
            assert!(weight.abs().max().double_value(&[]) > 0.0, "{id}");
        }
        let tokens = Tensor::from_slice(&[0i64, 3, 6, 2]).view([1, 4]);
        let before =
            Model::new(&old, source.iter().map(|(id, w)| (*id, w.shallow_clone())).collect())
                .logits(&tokens);
        let orders = [LigoOrder::WidthFirst, LigoOrder::DepthFirst];
        for (new, order) in larger.iter().flat_map(|new| orders.map(|order| (new, order))) {
            let store = nn::VarStore::new(tch::Device::Cpu);
            let ligo = Ligo { order, ..Ligo::new(1, 1e-3, 1) };
            let map = Map::new(&ligo, &old, new, 3, Kind::Double, &store.root());
            no_grad(|| {
                map.widths.values().for_each(|m| _ = m.shallow_clone().zero_());
                map.depths.values().for_each(|w| {
                    w.shallow_clone().copy_(&Tensor::eye(2, (Kind::Double, w.device())))
                });
            });
            let after = Model::new(new, map.apply(&source, new)).logits(&tokens);
            let change = (&after - &before).abs().max().double_value(&[]);
            assert!(change < 1e-12, "{new:?}: {change}");
        }
    }

    /// Ŵ_l = Σ_j w_lj B_in W_j B_outᵀ, entry by entry, with a B for each source layer (the paper) or
    /// for each target layer (its code).
    #[test]
    fn the_map_is_the_papers() {
        [LigoOrder::WidthFirst, LigoOrder::DepthFirst].into_iter().for_each(check_map);
    }

    fn check_map(order: LigoOrder) {
        let form = Form::decoder(Norm::RmsNorm, 1e-5);
        let model = |d, n, heads, ff| {
            Architecture::uniform(7, 4, d, n, LayerShape::uniform(heads, 3, 2, ff), form)
        };
        let (old, new) = (model(4, 2, 1, 5), model(6, 3, 2, 8));
        let store = nn::VarStore::new(tch::Device::Cpu);
        let ligo = Ligo { order, ..Ligo::new(1, 1e-3, 1) };
        let map = Map::new(&ligo, &old, &new, 3, Kind::Double, &store.root());
        let source = TrainingState::fresh(&old, 1, Kind::Double, Device::Cpu).parts().weights;
        let made = map.apply(&source, &new);
        let b = |part: Part, i: i64, j: i64, n: i64| {
            if i < n {
                f64::from(u8::from(i == j))
            } else {
                map.widths[&part].double_value(&[i - n, j])
            }
        };
        let w1 = |layer| &source[&ParamId::in_layer(layer, ParamKind::W1)];
        for (layer, i, k) in [(0, 0, 0), (1, 5, 2), (2, 3, 7), (2, 5, 6), (0, 4, 7)] {
            let of = |source: usize| match order {
                LigoOrder::WidthFirst => source,
                LigoOrder::DepthFirst => layer as usize,
            };
            let mut expected = 0.0;
            for j in 0..2 {
                for (a, c) in (0..4).flat_map(|a| (0..5).map(move |c| (a, c))) {
                    let product = b(Part::Channels, i, a, 4)
                        * w1(j).double_value(&[a, c])
                        * b(Part::Units(of(j)), k, c, 5);
                    expected +=
                        map.depths[&ParamKind::W1].double_value(&[layer, j as i64]) * product;
                }
            }
            let found =
                made[&ParamId::in_layer(layer as usize, ParamKind::W1)].double_value(&[i, k]);
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
        for id in parameters(&new) {
            let shape: Vec<usize> = made[&id].size().iter().map(|&n| n as usize).collect();
            assert_eq!(shape, id.shape(&new), "{id}");
        }
        // Rows of M and w add up to one.
        for tensor in map.widths.values().chain(map.depths.values()) {
            let sums = tensor.sum_dim_intlist(Some([1i64].as_slice()), false, Kind::Double) - 1.0;
            assert!(sums.abs().max().double_value(&[]) < 1e-12);
        }
    }

    #[test]
    fn what_learning_begins_with_can_be_chosen() {
        let form = Form::decoder(Norm::RmsNorm, 1e-5);
        let model = |d, n| Architecture::uniform(7, 4, d, n, LayerShape::uniform(1, 3, 2, 5), form);
        let largest = |initial| {
            let store = nn::VarStore::new(tch::Device::Cpu);
            let ligo = Ligo { initial, ..Ligo::new(1, 1e-3, 1) };
            let map = Map::new(&ligo, &model(4, 2), &model(6, 4), 3, Kind::Double, &store.root());
            let at = |rows: &Tensor| {
                Vec::<i64>::try_from(rows.argmax(1, false)).expect("a place for each row")
            };
            let peak = map.widths[&Part::Channels].max().double_value(&[]);
            (at(&map.depths[&ParamKind::W1]), at(&map.widths[&Part::Channels]), peak)
        };
        let (depth, _, uniform) = largest(LigoInitial::Stack);
        assert_eq!(depth, [0, 1, 0, 1]);
        assert_eq!(largest(LigoInitial::Interlace).0, [0, 0, 1, 1]);
        let (_, width, selected) = largest(LigoInitial::Select);
        assert_eq!(width, [0, 1]);
        assert!(uniform < 0.7 && selected > 0.9, "{uniform} {selected}");
    }
}
