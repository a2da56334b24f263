//! How the text of a page is encoded.

use encoding_rs::Encoding;
use encoding_rs::UTF_8;
use encoding_rs::WINDOWS_1252;
use html5gum::StartTag;
use html5gum::Token;
use html5gum::Tokenizer;

use crate::links::attribute;

/// How far into a page its encoding may be declared, as in browsers.
const HEAD: usize = 1024;

/// The encoding of a page: by its byte order mark, else by `Content-Type`, else by a tag in its head.
/// A page that declares none is read as UTF-8 if it is valid UTF-8, and else as Windows-1252.
pub(crate) fn encoding(html: &[u8], content_type: &str) -> &'static Encoding {
    let marked = Encoding::for_bom(html).map(|(encoding, _)| encoding);
    let guess = || match std::str::from_utf8(html) {
        Ok(_) => UTF_8,
        Err(_) => WINDOWS_1252,
    };
    marked
        .or_else(|| declared(content_type))
        .or_else(|| declared_in(&html[..html.len().min(HEAD)]))
        .unwrap_or_else(guess)
}

/// The encoding in a media type such as `text/html; charset=utf-8`.
fn declared(content_type: &str) -> Option<&'static Encoding> {
    // As browsers search for it: anywhere in the text.
    let lower = content_type.to_ascii_lowercase();
    let charset = lower.match_indices("charset").find_map(|(at, name)| {
        let value = lower[at + name.len()..].trim_start().strip_prefix('=')?;
        let value = value.trim_start().trim_start_matches(['"', '\'']);
        let is_end = |c: char| c.is_ascii_whitespace() || [';', ',', '"', '\''].contains(&c);
        value.split(is_end).next()
    })?;
    Encoding::for_label(charset.as_bytes())
}

/// The encoding that a tag in the head declares.
fn declared_in(head: &[u8]) -> Option<&'static Encoding> {
    let declared = Tokenizer::new(head).find_map(|token| match token {
        Ok(Token::StartTag(tag)) if *tag.name == b"meta" => declared_by(&tag),
        _ => None,
    })?;
    // If it were UTF-16, the tag would not have been found.
    Some(declared.output_encoding())
}

fn declared_by(meta: &StartTag<()>) -> Option<&'static Encoding> {
    match attribute(meta, b"charset") {
        Some(charset) => Encoding::for_label(charset.as_bytes()),
        None => {
            let equivalent = attribute(meta, b"http-equiv")?;
            let is_type = equivalent.eq_ignore_ascii_case("content-type");
            is_type.then(|| declared(&attribute(meta, b"content")?))?
        }
    }
}
