//! Finds the links of a page.

use std::borrow::Cow;

use encoding_rs::Encoding;
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
            .encoding_override(Some(&|query| encode(encoding, query)))
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

/// A query in the encoding of its page. A character that the encoding lacks becomes a reference such as
/// `&#28450;`, which is escaped, so that its `&` does not begin another parameter.
fn encode<'a>(encoding: &'static Encoding, query: &'a str) -> Cow<'a, [u8]> {
    let (encoded, _, lacks) = encoding.encode(query);
    if !lacks {
        return encoded;
    }
    let each = |c: char| {
        let mut text = [0; 4];
        let (encoded, _, lacks) = encoding.encode(c.encode_utf8(&mut text));
        match lacks {
            true => format!("%26%23{}%3B", u32::from(c)).into_bytes(),
            false => encoded.into_owned(),
        }
    };
    query.chars().flat_map(each).collect::<Vec<u8>>().into()
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
            b"frame" | b"iframe" => targets.extend(source(&tag)),
            b"meta" => targets.extend(refresh(&tag)),
            // It applies to all links, also to those before it. The first one counts.
            b"base" if base.is_none() => base = attribute(&tag, b"href"),
            _ => {}
        }
        if let Some(state) = content(&tag.name) {
            tokens.set_state(state);
        }
    }
    let base = base.and_then(|href| url.join(&href).ok());
    // One that has no paths is ignored, such as a `data:` URL.
    let base = base.filter(|base| !base.cannot_be_a_base());
    (base.unwrap_or_else(|| url.clone()), targets)
}

/// What a frame shows, if it is another page.
fn source(frame: &StartTag<()>) -> Option<String> {
    let is_inline = frame.attributes.contains_key(b"srcdoc".as_slice());
    let source = attribute(frame, b"src").filter(|source| !source.is_empty());
    source.filter(|_| !is_inline)
}

pub(crate) fn attribute(tag: &StartTag<()>, name: &[u8]) -> Option<String> {
    let value = tag.attributes.get(name)?;
    Some(String::from_utf8_lossy(value).into_owned())
}

/// Where a tag such as `<meta http-equiv=refresh content="0; url=/home">` leads. As browsers read it,
/// a number comes first, and `;` or `,` may be left out, and so may `url=` and the quotes.
fn refresh(meta: &StartTag<()>) -> Option<String> {
    if !attribute(meta, b"http-equiv")?.eq_ignore_ascii_case("refresh") {
        return None;
    }
    let content = attribute(meta, b"content")?;
    let is_number = |c: char| c.is_ascii_digit() || c == '.';
    let content = content.trim_start();
    let rest = content.trim_start_matches(is_number);
    let is_separated = rest.starts_with(|c: char| c.is_ascii_whitespace() || c == ';' || c == ',');
    if rest.len() == content.len() || !is_separated {
        return None;
    }
    let rest = rest.trim_start();
    let target = rest.strip_prefix([';', ',']).unwrap_or(rest).trim();
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
    (!target.is_empty()).then(|| target.to_owned())
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
