//! Finds the links of a page.

use html5gum::StartTag;
use html5gum::State;
use html5gum::Token;
use html5gum::Tokenizer;
use reqwest::Url;

/// The links of a page to pages of the same site, in their order, without fragments: these do not
/// identify a page.
pub(crate) fn links(html: &[u8], url: &Url) -> Vec<Url> {
    let mut base = None;
    let mut hrefs = Vec::new();
    let mut tokens = Tokenizer::new(html);
    while let Some(Ok(token)) = tokens.next() {
        let Token::StartTag(tag) = token else {
            continue;
        };
        match (&**tag.name, href(&tag)) {
            (b"a" | b"area", Some(href)) => hrefs.push(href),
            // It applies to all links, also to those before it. The first one counts.
            (b"base", Some(href)) if base.is_none() => base = url.join(&href).ok(),
            _ => {}
        }
        if let Some(state) = content(&tag.name) {
            tokens.set_state(state);
        }
    }
    let base = base.as_ref().unwrap_or(url);
    hrefs
        .iter()
        .filter_map(|href| {
            let mut link = base.join(href).ok()?;
            link.set_fragment(None);
            (link.origin() == url.origin()).then_some(link)
        })
        .collect()
}

fn href(tag: &StartTag<()>) -> Option<String> {
    let value = tag.attributes.get(b"href".as_slice())?;
    Some(String::from_utf8_lossy(value).into_owned())
}

/// How the text up to the end tag is read, if it cannot have tags. (`noscript` can, because this
/// program runs no scripts.)
fn content(tag: &[u8]) -> Option<State> {
    match tag {
        b"textarea" | b"title" => Some(State::RcData),
        b"script" => Some(State::ScriptData),
        b"style" | b"iframe" | b"xmp" | b"noembed" | b"noframes" => Some(State::RawText),
        _ => None,
    }
}
