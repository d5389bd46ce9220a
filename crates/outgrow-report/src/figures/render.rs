//! SVG to PDF and PNG.

use krilla::{
    Document, SerializeSettings,
    configure::{ConfigurationBuilder, PdfVersion},
    geom::Size,
    metadata::Metadata,
    page::PageSettings,
};
use krilla_svg::{SurfaceExt, SvgSettings};
use resvg::tiny_skia::{Pixmap, Transform};
use usvg::{Options, Tree};

use super::{figure::Figure, font};
use crate::{error::ReportError, escape};

/// Dots per inch of a PNG.
const DPI: f32 = 300.0;
/// SVG counts in 1/96 inch, paper in 1/72.
const PT_PER_PX: f32 = 0.75;

/// Every file of a figure: three formats in two widths, and its numbers.
///
/// # Errors
/// If a rendering library refuses, which it does not for what we draw.
pub fn files(figure: &Figure) -> Result<Vec<(String, Vec<u8>)>, ReportError> {
    let mut files = vec![(format!("data/{}.csv", figure.name), escape::csv(&figure.numbers))];
    for (column, svg) in &figure.svgs {
        let failed = |error: String| ReportError::Render(figure.name, error);
        let options = Options { fontdb: font::database(), ..Options::default() };
        let tree = Tree::from_str(svg, &options).map_err(|error| failed(error.to_string()))?;
        let stem = format!("figures/{}-{}", figure.name, column.suffix());
        files.push((format!("{stem}.pdf"), pdf(&tree, figure).map_err(failed)?));
        files.push((format!("{stem}.png"), png(&tree).map_err(failed)?));
        files.push((format!("{stem}.svg"), svg.clone().into_bytes()));
    }
    Ok(files)
}

fn pdf(tree: &Tree, figure: &Figure) -> Result<Vec<u8>, String> {
    let (width, height) = (tree.size().width() * PT_PER_PX, tree.size().height() * PT_PER_PX);
    // pdfTeX warns of every later version.
    let configuration = ConfigurationBuilder::new().with_version(PdfVersion::Pdf15).finish();
    let configuration = configuration.map_err(|error| format!("{error:?}"))?;
    let settings = SerializeSettings { configuration, ..SerializeSettings::default() };
    let mut document = Document::new_with(settings);
    let page = PageSettings::from_wh(width, height).ok_or("an empty page")?;
    let mut page = document.start_page_with(page);
    let mut surface = page.surface();
    let size = Size::from_wh(width, height).ok_or("an empty page")?;
    surface.draw_svg(tree, size, SvgSettings::default()).ok_or("the drawing was refused")?;
    surface.finish();
    page.finish();
    // No date: the same rows give the same bytes.
    let metadata =
        Metadata::new().title(figure.name.to_owned()).description(figure.caption.clone());
    document.set_metadata(metadata.creator("outgrow".to_owned()));
    document.finish().map_err(|error| format!("{error:?}"))
}

fn png(tree: &Tree) -> Result<Vec<u8>, String> {
    let scale = DPI / 96.0;
    let size = tree.size().to_int_size().scale_by(scale).ok_or("an empty picture")?;
    let mut picture = Pixmap::new(size.width(), size.height()).ok_or("an empty picture")?;
    resvg::render(tree, Transform::from_scale(scale, scale), &mut picture.as_mut());
    picture.encode_png().map_err(|error| error.to_string())
}
