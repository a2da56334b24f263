//! Finds the links of a page.

use html5gum::StartTag;
use html5gum::State;
use html5gum::Token;
use html5gum::Tokenizer;
use reqwest::Url;

use crate::charset::encoding;

/// The links of a page to pages of the same site, in their order, without fragments: these do not
/// identify a page. `content_type` is what the server says of the page.
pub(crate) fn links(html: &[u8], content_type: &str, url: &Url) -> Vec<Url> {
    let encoding = encoding(html, content_type);
    let (html, ..) = encoding.decode(html);
    let (base, targets) = targets(&html, url);
    let parse = |target: &str| {
        Url::options()
            .base_url(Some(&base))
            // Only the query of a link is in the encoding of its page.
            .encoding_override(Some(&|query| encoding.encode(query).0))
            .parse(target)
    };
    targets
        .iter()
        .filter_map(|target| {
            let mut link = parse(target).ok()?;
            link.set_fragment(None);
            (link.origin() == url.origin()).then_some(link)
        })
        .collect()
}

/// What the links of a page are relative to, and where they lead.
fn targets(html: &str, url: &Url) -> (Url, Vec<String>) {
    let mut base = None;
    let mut targets = Vec::new();
    let mut tokens = Tokenizer::new(html);
    while let Some(Ok(token)) = tokens.next() {
        let Token::StartTag(tag) = token else {
            continue;
        };
        match &**tag.name {
            b"a" | b"area" => targets.extend(attribute(&tag, b"href")),
            b"frame" | b"iframe" => targets.extend(attribute(&tag, b"src")),
            b"meta" => targets.extend(refresh(&tag)),
            // It applies to all links, also to those before it. The first one counts.
            b"base" if base.is_none() => {
                base = attribute(&tag, b"href").and_then(|href| url.join(&href).ok());
            }
            _ => {}
        }
        if let Some(state) = content(&tag.name) {
            tokens.set_state(state);
        }
    }
    (base.unwrap_or_else(|| url.clone()), targets)
}

pub(crate) fn attribute(tag: &StartTag<()>, name: &[u8]) -> Option<String> {
    let value = tag.attributes.get(name)?;
    Some(String::from_utf8_lossy(value).into_owned())
}

/// Where a tag such as `<meta http-equiv=refresh content="0; url=/home">` leads.
fn refresh(meta: &StartTag<()>) -> Option<String> {
    if !attribute(meta, b"http-equiv")?.eq_ignore_ascii_case("refresh") {
        return None;
    }
    let content = attribute(meta, b"content")?;
    let (_, target) = content.split_once([';', ','])?;
    let target = target.trim();
    let target = match target.split_once('=') {
        Some((name, target)) if name.trim().eq_ignore_ascii_case("url") => target.trim(),
        _ => target,
    };
    let quote = target
        .chars()
        .next()
        .filter(|first| ['"', '\''].contains(first));
    let target = match quote {
        Some(quote) => target[1..].split(quote).next()?,
        None => target,
    };
    Some(target.to_owned())
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
