//! A drawing backend for plotters that writes SVG: coordinates in hundredths of a point, text at
//! its true size, dashes, raised exponents.

use std::{
    cell::{Cell, RefCell},
    convert::Infallible,
    fmt::Write,
    rc::Rc,
};

use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind,
    FontTransform,
    text_anchor::{HPos, VPos},
};

use super::font::{self, RAISED};
use crate::escape::xml as escape;

type Drawn = Result<(), DrawingErrorKind<Infallible>>;

/// The SVG under construction; clones write to the same one.
#[derive(Clone)]
pub struct Canvas {
    size: (u32, u32),
    body: Rc<RefCell<String>>,
    dash: Rc<Cell<&'static str>>,
}

impl Canvas {
    /// An empty canvas, its size in hundredths of a point.
    pub fn new(size: (u32, u32)) -> Self {
        Self { size, body: Rc::default(), dash: Rc::new(Cell::new("")) }
    }

    /// The dashes of lines drawn from now on, as SVG says them; empty for a line without gaps.
    pub fn set_dash(&self, dash: &'static str) {
        self.dash.set(dash);
    }

    /// The whole SVG.
    pub fn finish(&self, title: &str, description: &str) -> String {
        let (width, height) = self.size;
        let [width_pt, height_pt] = [width, height].map(|size| f64::from(size) / 100.0);
        let (title, description, css, body) =
            (escape(title), escape(description), font::css(), self.body.borrow());
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width_pt}pt\" \
             height=\"{height_pt}pt\" \
             viewBox=\"0 0 {width} {height}\" \
             role=\"img\">\n<title>{title}</title>\n<desc>{description}</desc>\n\
             <style>{css}</style>\n<g font-family=\"{}\" \
             stroke-linejoin=\"round\">\n{body}</g>\n</svg>\n",
            font::FAMILY
        )
    }

    fn write(&self, text: std::fmt::Arguments) {
        self.body.borrow_mut().write_fmt(text).expect("memory takes every text");
    }

    fn dashes(&self) -> String {
        match self.dash.get() {
            "" => String::new(),
            dash => format!(" stroke-dasharray=\"{dash}\""),
        }
    }
}

fn paint(what: &str, color: BackendColor) -> String {
    let (r, g, b) = color.rgb;
    let opacity = if color.alpha < 1.0 {
        format!(" {what}-opacity=\"{}\"", color.alpha)
    } else {
        String::new()
    };
    format!("{what}=\"#{r:02x}{g:02x}{b:02x}\"{opacity}")
}

fn points(points: impl IntoIterator<Item = BackendCoord>) -> String {
    points.into_iter().map(|(x, y)| format!("{x},{y}")).collect::<Vec<_>>().join(" ")
}

/// A power of ten with its exponent raised and smaller.
fn raised(text: &str, size: f64) -> String {
    let Some((base, rest)) = text.split_once(RAISED[0]) else { return escape(text) };
    let Some((exponent, rest)) = rest.split_once(RAISED[1]) else { return escape(text) };
    let (small, up) = (size * 0.7, size * 0.38);
    format!(
        "{}<tspan dy=\"-{up:.0}\" font-size=\"{small:.0}\">{}</tspan><tspan \
         dy=\"{up:.0}\">{}</tspan>",
        escape(base),
        escape(exponent),
        raised(rest, size)
    )
}

impl DrawingBackend for Canvas {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        self.size
    }

    fn ensure_prepared(&mut self) -> Drawn {
        Ok(())
    }

    fn present(&mut self) -> Drawn {
        Ok(())
    }

    fn draw_pixel(&mut self, (x, y): BackendCoord, color: BackendColor) -> Drawn {
        self.write(format_args!(
            "<rect x=\"{x}\" y=\"{y}\" width=\"1\" height=\"1\" {}/>\n",
            paint("fill", color)
        ));
        Ok(())
    }

    fn draw_line<S: BackendStyle>(
        &mut self,
        from: BackendCoord,
        to: BackendCoord,
        style: &S,
    ) -> Drawn {
        self.draw_path([from, to], style)
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        a: BackendCoord,
        b: BackendCoord,
        style: &S,
        fill: bool,
    ) -> Drawn {
        let corners = [a, (b.0, a.1), b, (a.0, b.1)];
        if fill {
            self.fill_polygon(corners, style)
        } else {
            self.draw_path(corners.into_iter().chain([a]), style)
        }
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> Drawn {
        let (stroke, width, dashes) =
            (paint("stroke", style.color()), style.stroke_width(), self.dashes());
        let path = points(path);
        self.write(format_args!(
            "<polyline points=\"{path}\" fill=\"none\" {stroke} \
             stroke-width=\"{width}\"{dashes}/>\n"
        ));
        Ok(())
    }

    fn draw_circle<S: BackendStyle>(
        &mut self,
        (x, y): BackendCoord,
        radius: u32,
        style: &S,
        fill: bool,
    ) -> Drawn {
        let look = match fill {
            true => paint("fill", style.color()),
            false => {
                format!(
                    "fill=\"none\" {} stroke-width=\"{}\"",
                    paint("stroke", style.color()),
                    style.stroke_width()
                )
            }
        };
        self.write(format_args!("<circle cx=\"{x}\" cy=\"{y}\" r=\"{radius}\" {look}/>\n"));
        Ok(())
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> Drawn {
        let (path, fill) = (points(path), paint("fill", style.color()));
        self.write(format_args!("<polygon points=\"{path}\" {fill}/>\n"));
        Ok(())
    }

    fn draw_text<S: BackendTextStyle>(
        &mut self,
        text: &str,
        style: &S,
        (x, y): BackendCoord,
    ) -> Drawn {
        let (anchor, size) = (style.anchor(), style.size());
        let along = match anchor.h_pos {
            HPos::Left => "start",
            HPos::Center => "middle",
            HPos::Right => "end",
        };
        // Capital letters are 0.73 of the size high.
        let down = match anchor.v_pos {
            VPos::Top => 0.73 * size,
            VPos::Center => 0.365 * size,
            VPos::Bottom => 0.0,
        };
        let turn = match style.transform() {
            FontTransform::None => String::new(),
            FontTransform::Rotate90 => format!(" transform=\"rotate(90 {x} {y})\""),
            FontTransform::Rotate180 => format!(" transform=\"rotate(180 {x} {y})\""),
            FontTransform::Rotate270 => format!(" transform=\"rotate(-90 {x} {y})\""),
        };
        let (fill, text, y) =
            (paint("fill", style.color()), raised(text, size), f64::from(y) + down);
        self.write(format_args!(
            "<text x=\"{x}\" y=\"{y:.0}\" font-size=\"{size}\" text-anchor=\"{along}\" \
             {fill}{turn}>{text}</text>\n"
        ));
        Ok(())
    }

    fn estimate_text_size<S: BackendTextStyle>(
        &self,
        text: &str,
        style: &S,
    ) -> Result<(u32, u32), DrawingErrorKind<Infallible>> {
        Ok((font::width(text, style.size() as i32) as u32, style.size() as u32))
    }
}
