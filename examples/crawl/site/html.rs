//! The pages of the site, with links as they are on the web.

use std::fmt::Write;

/// A page with links to other pages. The links are written in all the ways that follow.
pub(super) fn page(number: usize, links: &[u32], host: &str) -> String {
    let mut html = format!(
        "<!DOCTYPE html>\n<title>Page {number}, not <a href=/title></title>\n\
         <base href=/page/>\n<!-- <a href=/comment> -->\n\
         <script>let link = '<a href=\"/script\">';</script>\n\
         <a href=mailto:page@localhost>Write</a> <a href=\"javascript:print()\">Print</a>\n<ul>\n"
    );
    for (place, link) in links.iter().enumerate() {
        let href = match place % 8 {
            0 => format!(r#"href="/page/{link}""#),
            1 => format!("class=page href='{link}'"),
            2 => format!("href={link}"),
            3 => format!("HREF = \"//{host}/page/{link}\""),
            4 => format!(r#"href="../page/./{link}#top""#),
            5 => format!("href=\" http://{host}/page/{link}\n\""),
            6 => format!(r#"href="&#x2f;page&sol;{link}""#),
            _ => format!(r#"title=">" href="/page/{link}#""#),
        };
        let _ = writeln!(html, "<li><a {href}>Page {link}</a>");
    }
    html.push_str("</ul>\n");
    html
}

/// A link into the trap.
pub(super) fn trap(number: u64) -> String {
    format!("<p><a href=/trap/{number}>Next</a>\n")
}
