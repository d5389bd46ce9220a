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
            Marker::Bar => shape(&[(-0.4, -1.3), (0.4, -1.3), (0.4, 1.3), (-0.4, 1.3)]),
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
        self.horizontal_numbers(true);
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

    /// Draws both axes without names, and with numbers only where told.
    pub fn frame(&self, has_vertical: bool, has_horizontal: bool) {
        self.vertical_numbers(has_vertical);
        self.horizontal_numbers(has_horizontal);
    }

    fn horizontal_numbers(&self, has_numbers: bool) {
        let (Range { start, end }, bottom) = (self.horizontal.clone(), self.vertical.end);
        self.sheet.line([(start, bottom), (end, bottom)], INK, 60, "");
        let across = |value: f64| self.at(value, self.y.ticks.first().map_or(1.0, |tick| tick.0)).0;
        for value in &self.x.minor {
            let x = across(*value);
            self.sheet.line([(x, bottom), (x, bottom + 2 * PT)], INK, 40, "");
        }
        for (value, label) in &self.x.ticks {
            let x = across(*value);
            self.sheet.line([(x, bottom), (x, bottom + 3 * PT)], INK, 60, "");
            let label = if has_numbers { label } else { "" };
            self.sheet.text((x, bottom + 5 * PT), label, TICK, INK, HPos::Center, VPos::Top);
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
    }

    fn lowest(&self) -> f64 {
        plotters::coord::ranged1d::Ranged::range(&self.y).start
    }

    fn highest(&self) -> f64 {
        plotters::coord::ranged1d::Ranged::range(&self.y).end
    }
}
