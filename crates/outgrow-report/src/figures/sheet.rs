//! A figure's sheet of paper: lengths in hundredths of a point, and a plot with axes on it.

use std::ops::Range;

use plotters::{
    coord::{Shift, cartesian::Cartesian2d},
    drawing::{DrawingArea, IntoDrawingArea},
    element::{Circle, PathElement, Polygon},
    style::{
        Color, FontDesc, FontFamily, FontStyle, FontTransform, IntoTextStyle, RGBColor,
        text_anchor::{HPos, Pos, VPos},
    },
};

use super::{
    axis::Axis,
    canvas::Canvas,
    clip, font,
    measures::{At, LABEL, PT, TICK},
    style::{INK, Look, Marker},
};

/// The sheet.
pub struct Sheet {
    canvas: Canvas,
    root: DrawingArea<Canvas, Shift>,
    pub size: At,
}

/// A drawing that can't fail: the canvas is memory.
const DRAWN: &str = "memory takes every drawing";

impl Sheet {
    /// A white sheet.
    pub fn new(width: i32, height: i32) -> Self {
        let canvas = Canvas::new((width as u32, height as u32));
        let root = canvas.clone().into_drawing_area();
        root.draw(&Polygon::new(
            vec![(0, 0), (width, 0), (width, height), (0, height)],
            RGBColor(255, 255, 255).filled(),
        ))
        .expect(DRAWN);
        Self { canvas, root, size: (width, height) }
    }

    /// Writes a text.
    pub fn text(&self, at: At, text: &str, size: i32, color: RGBColor, along: HPos, down: VPos) {
        self.write(at, text, size, color, Pos::new(along, down), FontTransform::None);
    }

    fn write(&self, at: At, text: &str, size: i32, color: RGBColor, pos: Pos, turn: FontTransform) {
        let font =
            FontDesc::new(FontFamily::Name(font::FAMILY), f64::from(size), FontStyle::Normal)
                .transform(turn);
        let style = font.into_text_style(&self.root).color(&color).pos(pos);
        self.root.draw_text(text, &style, at).expect(DRAWN);
    }

    /// Writes a name upwards, its middle at a point.
    pub fn upwards(&self, at: At, name: &str) {
        let pos = Pos::new(HPos::Center, VPos::Top);
        self.write(at, name, LABEL, INK, pos, FontTransform::Rotate270);
    }

    /// Draws a line through points; width in hundredths of a point.
    pub fn line(
        &self,
        points: impl IntoIterator<Item = At>,
        color: RGBColor,
        width: u32,
        dash: &'static str,
    ) {
        self.canvas.set_dash(dash);
        self.root
            .draw(&PathElement::new(
                points.into_iter().collect::<Vec<_>>(),
                color.stroke_width(width),
            ))
            .expect(DRAWN);
        self.canvas.set_dash("");
    }

    /// Fills an area.
    pub fn fill(&self, points: impl IntoIterator<Item = At>, color: RGBColor, opacity: f64) {
        let points: Vec<At> = points.into_iter().collect();
        self.root.draw(&Polygon::new(points, color.mix(opacity).filled())).expect(DRAWN);
    }

    /// Draws a single point of a series; `size` is about its radius.
    pub fn marker(&self, (x, y): At, look: Look, size: i32, opacity: f64) {
        let color = look.color.mix(opacity);
        let shape = |corners: &[(f64, f64)]| {
            let scaled = |v: f64| (v * f64::from(size)).round() as i32;
            let corners: Vec<At> =
                corners.iter().map(|(dx, dy)| (x + scaled(*dx), y + scaled(*dy))).collect();
            self.root.draw(&Polygon::new(corners, color.filled())).expect(DRAWN);
        };
        match look.marker {
            Marker::Circle => {
                self.root.draw(&Circle::new((x, y), size, color.filled())).expect(DRAWN)
            }
            Marker::Square => shape(&[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)]),
            Marker::Diamond => shape(&[(0.0, -1.3), (1.3, 0.0), (0.0, 1.3), (-1.3, 0.0)]),
            Marker::Up => shape(&[(0.0, -1.2), (1.15, 0.9), (-1.15, 0.9)]),
            Marker::Down => shape(&[(0.0, 1.2), (1.15, -0.9), (-1.15, -0.9)]),
            Marker::Left => shape(&[(-1.2, 0.0), (0.9, -1.15), (0.9, 1.15)]),
            Marker::Cross => {
                let (i, o) = (0.38, 1.2);
                shape(&[
                    (-i, -o),
                    (i, -o),
                    (i, -i),
                    (o, -i),
                    (o, i),
                    (i, i),
                    (i, o),
                    (-i, o),
                    (-i, i),
                    (-o, i),
                    (-o, -i),
                    (-i, -i),
                ]);
            }
        }
    }

    /// Draws a hollow circle.
    pub fn ring(&self, at: At, color: RGBColor, size: i32) {
        self.root.draw(&Circle::new(at, size, color.stroke_width(60))).expect(DRAWN);
    }

    /// Draws a point of an arrow at an edge: what it is of goes on in this direction.
    pub fn arrow(&self, (x, y): At, (dx, dy): At, color: RGBColor) {
        let (length, half) = (4 * PT, 2 * PT);
        let back = (x - dx * length, y - dy * length);
        let corners = [
            (x, y),
            (back.0 + dy * half, back.1 + dx * half),
            (back.0 - dy * half, back.1 - dx * half),
        ];
        self.fill(corners, color, 1.0);
    }

    /// Writes a legend in rows from the top left, never over data; gives the height that it took.
    pub fn legend(&self, left: i32, entries: &[(String, Look)], sample: Sample) -> i32 {
        let (row, gap, length) =
            (11 * PT, 10 * PT, if sample == Sample::Line { 18 * PT } else { 7 * PT });
        let (mut x, mut y) = (left, 8 * PT);
        for (name, look) in entries {
            let name = &font::label(name);
            let width = length + 3 * PT + font::width(name, TICK);
            if x > left && x + width > self.size.0 - 4 * PT {
                (x, y) = (left, y + row);
            }
            match sample {
                Sample::Line => self.line([(x, y), (x + length, y)], look.color, 110, look.dash),
                Sample::Marker => self.marker((x + length / 2, y), *look, 260, 1.0),
            }
            self.text((x + length + 3 * PT, y), name, TICK, INK, HPos::Left, VPos::Center);
            x += width + gap;
        }
        y + 8 * PT
    }

    /// A plot in the frame `horizontal` × `vertical`.
    pub fn plot(&self, horizontal: Range<i32>, vertical: Range<i32>, x: Axis, y: Axis) -> Plot<'_> {
        let pixels = (horizontal.clone(), vertical.end..vertical.start);
        let area = self.root.apply_coord_spec(Cartesian2d::new(x.clone(), y.clone(), pixels));
        Plot { sheet: self, area, horizontal, vertical, x, y }
    }

    /// The whole SVG.
    pub fn finish(self, title: &str, description: &str) -> String {
        self.canvas.finish(title, description)
    }
}

/// What a legend shows beside a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sample {
    /// A piece of the line.
    Line,
    /// The marker.
    Marker,
}

/// A plot with its axes.
pub struct Plot<'a> {
    sheet: &'a Sheet,
    area: DrawingArea<Canvas, Cartesian2d<Axis, Axis>>,
    horizontal: Range<i32>,
    vertical: Range<i32>,
    x: Axis,
    y: Axis,
}

impl Plot<'_> {
    /// Where a value stands on the sheet.
    pub fn at(&self, x: f64, y: f64) -> At {
        self.area.map_coordinate(&(x, y))
    }

    /// Draws the horizontal axis with ticks and a name.
    pub fn horizontal_axis(&self, name: &str) {
        let Range { start, end } = self.horizontal;
        self.horizontal_numbers(self.sheet.size.0);
        let at = ((start + end) / 2, self.vertical.end + 16 * PT);
        self.sheet.text(at, name, LABEL, INK, HPos::Center, VPos::Top);
    }

    /// Draws the vertical axis with ticks and a name.
    pub fn vertical_axis(&self, name: &str) {
        let Range { start, end } = self.vertical;
        self.vertical_numbers(true);
        // As far to the left as its numbers are wide.
        let left = self.horizontal.start - self.y.room() + 4 * PT;
        self.sheet.upwards((left, (start + end) / 2), name);
    }

    /// Draws both axes without names, and with numbers only where told: those of the horizontal axis
    /// reach no further than so much beyond its ends.
    pub fn frame(&self, has_vertical: bool, has_horizontal: Option<i32>) {
        self.vertical_numbers(has_vertical);
        match has_horizontal {
            Some(beyond) => self.horizontal_numbers(beyond),
            None => self.horizontal_ticks(),
        }
    }

    fn horizontal_numbers(&self, beyond: i32) {
        self.horizontal_ticks();
        for (x, label) in self.fitting(beyond) {
            let at = (x, self.vertical.end + 5 * PT);
            self.sheet.text(at, label, TICK, INK, HPos::Center, VPos::Top);
        }
    }

    /// The numbers that fit beside each other, every second or third of them where not all do, and
    /// where their middles are: those at the ends move inwards.
    fn fitting(&self, beyond: i32) -> Vec<(i32, &str)> {
        let Range { start, end } = self.horizontal;
        let room = [(start - beyond).max(PT), (end + beyond).min(self.sheet.size.0 - PT)];
        let middle = |(value, label): &'_ (f64, String)| {
            let half = font::width(label, TICK) / 2;
            self.across(*value).min(room[1] - half).max(room[0] + half)
        };
        let mut placed: Vec<(i32, &str)> =
            self.x.ticks.iter().map(|tick| (middle(tick), tick.1.as_str())).collect();
        placed.sort_by_key(|(x, _)| *x);
        let ends = |(x, label): &(i32, &str), side: i32| x + side * font::width(label, TICK) / 2;
        let shown = |every: usize| placed.iter().step_by(every).copied().collect::<Vec<_>>();
        let fits = |every: &usize| {
            shown(*every).windows(2).all(|two| ends(&two[0], 1) + 3 * PT <= ends(&two[1], -1))
        };
        shown((1..=placed.len()).find(fits).unwrap_or(1))
    }

    fn across(&self, value: f64) -> i32 {
        self.at(value, self.y.ticks.first().map_or(1.0, |tick| tick.0)).0
    }

    fn horizontal_ticks(&self) {
        let (Range { start, end }, bottom) = (self.horizontal.clone(), self.vertical.end);
        self.sheet.line([(start, bottom), (end, bottom)], INK, 60, "");
        for value in &self.x.minor {
            let x = self.across(*value);
            self.sheet.line([(x, bottom), (x, bottom + 2 * PT)], INK, 40, "");
        }
        for (value, _) in &self.x.ticks {
            let x = self.across(*value);
            self.sheet.line([(x, bottom), (x, bottom + 3 * PT)], INK, 60, "");
        }
    }

    fn vertical_numbers(&self, has_numbers: bool) {
        let (Range { start, end }, left) = (self.vertical.clone(), self.horizontal.start);
        self.sheet.line([(left, start), (left, end)], INK, 60, "");
        let down = |value: f64| self.at(self.x.ticks.first().map_or(1.0, |tick| tick.0), value).1;
        for value in &self.y.minor {
            let y = down(*value);
            self.sheet.line([(left - 2 * PT, y), (left, y)], INK, 40, "");
        }
        for (value, label) in &self.y.ticks {
            let y = down(*value);
            self.sheet.line([(left - 3 * PT, y), (left, y)], INK, 60, "");
            let label = if has_numbers { label } else { "" };
            self.sheet.text((left - 5 * PT, y), label, TICK, INK, HPos::Right, VPos::Center);
        }
    }

    /// Draws a series as a line.
    pub fn series(&self, points: &[(f64, f64)], look: Look, width: u32) {
        if points.len() > 1 {
            self.sheet.line(
                points.iter().map(|(x, y)| self.at(*x, *y)),
                look.color,
                width,
                look.dash,
            );
        }
    }

    /// Draws what is within the frame of a line through points.
    pub fn curve(&self, points: &[(f64, f64)], look: Look, width: u32) {
        let shares: Vec<_> =
            points.iter().map(|(x, y)| (self.x.share(*x), self.y.share(*y))).collect();
        for piece in clip::within(&shares) {
            self.sheet.line(
                piece.iter().map(|at| self.on_sheet(*at)),
                look.color,
                width,
                look.dash,
            );
        }
    }

    /// Draws a mark, if it is within the frame.
    pub fn mark(&self, (x, y): (f64, f64), look: Look, size: i32) {
        if clip::is_within((self.x.share(x), self.y.share(y))) {
            self.sheet.marker(self.at(x, y), look, size, 1.0);
        }
    }

    /// Where shares of both axes stand on the sheet.
    fn on_sheet(&self, (across, up): (f64, f64)) -> At {
        let (h, v) = (&self.horizontal, &self.vertical);
        let along =
            |share: f64, from: i32, to: i32| from + (share * f64::from(to - from)).round() as i32;
        (along(across, h.start, h.end), along(up, v.end, v.start))
    }

    /// The last of some points that is within the frame.
    pub fn last_in_sight(&self, points: &mut dyn Iterator<Item = (f64, f64)>) -> Option<At> {
        let share = |(x, y): (f64, f64)| (self.x.share(x), self.y.share(y));
        let seen = points.map(share).filter(|at| clip::is_within(*at));
        let last = seen.max_by(|a, b| a.0.total_cmp(&b.0))?;
        Some(self.on_sheet(last))
    }

    /// The left edge.
    pub fn left(&self) -> i32 {
        self.horizontal.start
    }

    /// The right edge, and where it begins and ends.
    pub fn right(&self) -> (i32, [i32; 2]) {
        (self.horizontal.end, [self.vertical.start, self.vertical.end])
    }

    /// The values at the ends of both axes.
    pub fn ends(&self) -> [[f64; 2]; 2] {
        [&self.x, &self.y].map(|axis| {
            let range = plotters::coord::ranged1d::Ranged::range(axis);
            [range.start, range.end]
        })
    }

    /// Fills the band between two bounds, each (x, lower, upper), as far as it is in the frame.
    pub fn band(&self, points: &[(f64, [f64; 2])], look: Look) {
        let [x, _] = self.ends();
        let (from, to) = (x[0].min(x[1]), x[0].max(x[1]));
        let seen: Vec<_> = points.iter().filter(|(x, _)| (from..=to).contains(x)).collect();
        if seen.len() > 1 {
            let clamp = |y: f64| y.clamp(self.lowest(), self.highest());
            let low = seen.iter().map(|(x, [low, _])| self.at(*x, clamp(*low)));
            let high = seen.iter().rev().map(|(x, [_, high])| self.at(*x, clamp(*high)));
            self.sheet.fill(low.chain(high), look.color, 0.18);
        }
        // Where it goes on beyond the frame, the frame is dotted.
        for two in seen.windows(2) {
            let is_over = |side: usize, edge: f64| match side {
                0 => two.iter().all(|(_, bounds)| bounds[0] < edge),
                _ => two.iter().all(|(_, bounds)| bounds[1] > edge),
            };
            for (side, edge) in [self.lowest(), self.highest()].into_iter().enumerate() {
                if is_over(side, edge) {
                    let ends = [two[0], two[1]].map(|(x, _)| self.at(*x, edge));
                    self.sheet.line(ends, look.color, 110, "100 140");
                }
            }
        }
    }

    /// Draws an upright interval so far to the left of its place, with the point of an arrow where
    /// it goes on beyond the frame.
    pub fn upright(&self, x: f64, [low, high]: [f64; 2], look: Look, left: i32) {
        let clamp = |y: f64| y.clamp(self.lowest(), self.highest());
        let ends = [low, high].map(|y| self.at(x, clamp(y))).map(|(x, y)| (x - left, y));
        self.sheet.line(ends, look.color, 70, "");
        for (end, (value, direction)) in ends.into_iter().zip([(low, 1), (high, -1)]) {
            if clamp(value) != value {
                self.sheet.arrow(end, (0, direction), look.color);
            } else {
                self.sheet.line([(end.0 - PT, end.1), (end.0 + PT, end.1)], look.color, 70, "");
            }
        }
    }

    fn lowest(&self) -> f64 {
        plotters::coord::ranged1d::Ranged::range(&self.y).start
    }

    fn highest(&self) -> f64 {
        plotters::coord::ranged1d::Ranged::range(&self.y).end
    }
}
