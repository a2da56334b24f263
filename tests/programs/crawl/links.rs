//! What is a page: links, redirects and limits.

use std::collections::BTreeMap;

use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::IntoResponse;

use super::crawl;
use super::served::Answer;
use super::served::Served;
use super::served::moved;
use super::served::page;
use super::served::raw;
use super::served::status;
use super::summary;

#[test]
fn foreign_site_gets_one_request_per_page() {
    let other = Served::new(&[("/", "")]);
    let elsewhere = format!(r#"<a href="{}">"#, other.url("/"));
    let site = Served::new(&[
        (
            "/",
            r##"<a href="/a"><a href="a#top"><a href="/"><a href="">"##,
        ),
        ("/a", r#"<a href="b/c"><a title="a link" href="/?query">"#),
        ("/b/c", r#"<a href="../a"><a href="d"><a href="mailto:me">"#),
        ("/b/d", &elsewhere),
        ("/?query", r#"<a href="not closed"#),
    ]);
    let output = crawl().arg("--url").arg(site.url("/")).run();

    output.assert_code(0);
    let once = ["/", "/?query", "/a", "/b/c", "/b/d"].map(|page| (page.to_owned(), 1));
    assert_eq!(site.requests(), BTreeMap::from(once));
    assert_eq!(other.requests(), BTreeMap::new());
    assert!(summary(&output).starts_with("pages     5 fetched, 0 failed, 0 left\n"));
}

#[test]
fn links_are_found_as_real_pages_write_them() {
    // The path to which each is a link, unless it is none or the page is known.
    let shapes = [
        (r#"<a href="/double">"#, "/double"),
        ("<a href='/single'>", "/single"),
        ("<a href=/bare>", "/bare"),
        ("<a href=/bare-last/>", "/bare-last/"),
        ("<A HREF=\"/upper\">", "/upper"),
        ("<a\n\thref = \"/spaced\"\n>", "/spaced"),
        ("<a href=\"\n /in\nner \t\">", "/inner"),
        ("<a title='>' class=x href=/after>", "/after"),
        ("<a href=relative>", "/dir/relative"),
        ("<a href=./same/>", "/dir/same/"),
        ("<a href=../up>", "/up"),
        ("<a href=../../../top>", "/top"),
        ("<a href=/x/../y/./z>", "/y/z"),
        ("<a href=?only=query>", "/dir/page?only=query"),
        ("<a href='/q?a=1&amp;b=2'>", "/q?a=1&b=2"),
        ("<a href='/q?a=1&c=3'>", "/q?a=1&c=3"),
        ("<a href='&#47;number&#x2f;entity'>", "/number/entity"),
        ("<a href='/with space'>", "/with%20space"),
        ("<a href='/ünï'>", "/%C3%BCn%C3%AF"),
        ("<a href='//HOST/no-scheme'>", "/no-scheme"),
        ("<a href='http://HOST/absolute'>", "/absolute"),
        ("<a href='HTTP://HOST'>", "/"),
        ("<a href='\\backslash'>", "/backslash"),
        ("<area href=/area shape=rect>", "/area"),
        ("<noscript><a href=/noscript></noscript>", "/noscript"),
        ("<frame src=/frame>", "/frame"),
        ("<iframe src=/iframe></iframe>", "/iframe"),
        (
            "<meta http-equiv=Refresh content='0; URL=/refresh'>",
            "/refresh",
        ),
        (
            "<meta http-equiv=refresh content='9,url = \"/quoted\"x'>",
            "/quoted",
        ),
        (
            "<meta http-equiv=refresh content=1;/unnamed?a=b>",
            "/unnamed?a=b",
        ),
        ("<meta http-equiv=refresh content='5 url=/space'>", "/space"),
        ("<meta http-equiv=refresh content=30>", ""),
        ("<meta http-equiv=refresh content=30;>", ""),
        ("<meta http-equiv=refresh content='; url=/no-number'>", ""),
        ("<iframe src=''></iframe>", ""),
        ("<iframe src=/replaced srcdoc=x></iframe>", ""),
        ("<meta name=refresh content=0;/no-refresh>", ""),
        ("<a href=/first href=/second>", "/first"),
        ("<table><a href=/nested></b></p>", "/nested"),
        ("<script>'<a href=/script>'; a<b</script>", ""),
        ("<style>/* <a href=/style> */</style>", ""),
        ("<title><a href=/title></title>", ""),
        ("<textarea><a href=/textarea></textarea>", ""),
        ("<!-- <a href=/comment> -->", ""),
        ("<link href=/style.css><img src=/image>", ""),
        ("<a name=href>", ""),
        ("<a data-href=/data>", ""),
        ("<a href='mailto:a@HOST'>", ""),
        ("<a href='javascript:location=&quot;/script&quot;'>", ""),
        ("<a href='tel:1'><a href='data:text/html,x'>", ""),
        ("<a href='https://HOST/other-scheme'>", ""),
        ("<a href='http://[::bad'>", ""),
        // The same pages again.
        ("<a href=#top>", ""),
        ("<a href=''>", ""),
        ("<a href=/double#part>", ""),
        ("<a href=/double#>", ""),
        ("<a href='/q?a=1&#38;b=2'>", ""),
        // This is not closed.
        ("<a href=\"/never", ""),
    ];
    let site = Served::answering([]);
    let html: String = shapes.iter().map(|(html, _)| *html).collect();
    site.add("/dir/page", page(&html.replace("HOST", &site.address)));
    let paths = shapes.map(|(_, path)| path);
    let paths = paths.into_iter().filter(|path| !path.is_empty());
    for path in paths.clone() {
        site.add(path, page(""));
    }
    let output = crawl().args(["--url", &site.url("/dir/page#top")]).run();

    let once = paths.chain(["/dir/page"]).map(|page| (page.to_owned(), 1));
    assert_eq!(site.requests(), once.collect());
    output.assert_code(0);
}

#[test]
fn links_are_read_in_the_encoding_of_their_page() {
    // The query is in the encoding of the page, and the path is not.
    let latin = b"<a href='/\xe0?\xe9'>";
    let japanese = b"<a href='/\x8a\xbf?\x8e\x9a'>";
    let utf16: Vec<u8> = "\u{feff}<a href=/utf16>"
        .encode_utf16()
        .flat_map(u16::to_be_bytes)
        .collect();
    let head = |head: &str, html: &[u8]| [head.as_bytes(), html].concat();
    let shapes = [
        (
            "/header",
            "text/html; charset=ISO-8859-1",
            latin.to_vec(),
            "/%C3%A0?%E9",
        ),
        (
            "/quoted",
            "text/html;x=y; Charset = \"latin1\"",
            latin.to_vec(),
            "/%C3%A0?%E9",
        ),
        ("/guess", "text/html", latin.to_vec(), "/%C3%A0?%E9"),
        (
            "/tag",
            "text/html",
            head("<meta charset=Shift_JIS>", japanese),
            "/%E6%BC%A2?%8E%9A",
        ),
        (
            "/old-tag",
            "text/html; charset=unknown",
            head(
                "<meta http-equiv=Content-Type content='text/html; charset=sjis'>",
                japanese,
            ),
            "/%E6%BC%A2?%8E%9A",
        ),
        (
            "/anywhere",
            "text/html",
            head(
                "<meta http-equiv=content-type content='charset=GBK x'>",
                b"<a href='/\xba\xba'>".as_slice(),
            ),
            "/%E6%B1%89",
        ),
        // What the encoding lacks is a reference to a character.
        (
            "/lacks",
            "text/html; charset=latin1",
            b"<a href='/?\xe9&#28450;&amp;y'>".to_vec(),
            "/?%E9%26%2328450%3B&y",
        ),
        // The header comes before the tag, and a byte order mark before both.
        (
            "/both",
            "text/html; charset=latin1",
            head("<meta charset=utf-8>", latin),
            "/%C3%A0?%E9",
        ),
        ("/utf16", "text/html; charset=latin1", utf16, "/utf16"),
        (
            "/utf8",
            "text/html",
            "<a href='/ü?ü'>".into(),
            "/%C3%BC?%C3%BC",
        ),
    ];
    for (path, content_type, html, link) in shapes {
        let site = Served::answering([(path, raw(content_type, html)), (link, page(""))]);
        let output = crawl().args(["--url", &site.url(path)]).run();
        output.assert_code(0);
        let once = [path, link].map(|page| (page.to_owned(), 1));
        assert_eq!(site.requests(), once.into(), "{path}");
    }
}

#[test]
fn base_applies_to_all_links() {
    let site = Served::new(&[
        (
            "/",
            "<a href=before><base href=/base/><a href=after><base href=/no/><a href=..>",
        ),
        ("/base/before", "<base target=_blank><a href=own>"),
        (
            "/base/after",
            "<base href='http://127.0.0.2/'><a href=elsewhere><a href=//127.0.0.3/>",
        ),
        (
            "/base/own",
            "<base href='http://[bad'><base href=/no/><a href=before>",
        ),
    ]);
    let output = crawl().args(["--url", &site.url("/")]).run();

    output.assert_code(0);
    let once = ["/", "/base/after", "/base/before", "/base/own"];
    assert_eq!(
        site.requests(),
        once.map(|page| (page.to_owned(), 1)).into()
    );
}

#[test]
fn redirects_are_followed_within_the_site() {
    let other = Served::new(&[("/", "")]);
    let site = Served::answering([
        ("/", moved(301, "/start#top")),
        (
            "/start",
            page("<a href=/a><a href=/b><a href=/c><a href=/d><a href=/known>"),
        ),
        ("/a", moved(302, "/new")),
        // Fetched by the other redirect, or by the link.
        ("/b", moved(303, "new#part")),
        ("/c", moved(307, "/known")),
        ("/d", moved(308, &other.url("/"))),
        ("/known", page("")),
        ("/new", page("<a href=/behind>")),
        ("/behind", page("")),
    ]);
    let output = crawl().args(["--url", &site.url("/")]).run();

    output.assert_code(0);
    assert_eq!(output.stderr.text(), "");
    let all = [
        "/", "/start", "/a", "/b", "/c", "/d", "/known", "/new", "/behind",
    ];
    assert_eq!(site.requests(), all.map(|page| (page.to_owned(), 1)).into());
    assert_eq!(other.requests(), BTreeMap::new());
    let summary = summary(&output);
    for part in [
        "pages     4 fetched, 0 failed, 0 left\n",
        "redirects 5 found, 2 of them to pages found before, 1 to other sites\n",
    ] {
        assert!(summary.contains(part), "no {part:?} in {summary}");
    }
}

#[test]
fn redirect_need_not_be_ascii() {
    let latin = HeaderValue::from_bytes(b"/t\xe8").unwrap();
    let to = move |_| (StatusCode::FOUND, [(LOCATION, latin.clone())]).into_response();
    let site = Served::answering([
        ("/", Box::new(to) as Answer),
        ("/t%E8", moved(302, "/\u{fc}")),
        ("/%C3%BC", page("")),
    ]);
    let output = crawl().args(["--url", &site.url("/")]).run();
    output.assert_code(0);
    let once = ["/", "/t%E8", "/%C3%BC"].map(|page| (page.to_owned(), 1));
    assert_eq!(site.requests(), once.into());
}

#[test]
fn redirects_that_lead_nowhere_fail() {
    let site = Served::answering([
        (
            "/",
            page("<a href=/self><a href=/to><a href=/fro><a href=/1><a href=/no><a href=/bad>"),
        ),
        ("/self", moved(302, "#again")),
        ("/to", moved(302, "/fro")),
        ("/fro", moved(302, "/to")),
        ("/1", moved(302, "/2")),
        ("/2", moved(302, "/3")),
        ("/3", moved(302, "/4")),
        ("/4", moved(302, "/5")),
        ("/no", status(302)),
        ("/bad", moved(302, "http://[::")),
    ]);
    let output = crawl()
        .args(["--workers=1", "--max-redirects=3", "--url", &site.url("/")])
        .run();

    output.assert_code(1);
    let mut failures: Vec<_> = output.stderr.text().lines().map(str::to_owned).collect();
    failures.sort();
    let expected = [
        ("/4", "more than 3 redirects"),
        ("/bad", "302 Found, without a valid address to go to"),
        ("/fro", "redirects in a circle"),
        ("/no", "302 Found, without a valid address to go to"),
        ("/self", "redirects in a circle"),
    ];
    assert_eq!(
        failures,
        expected.map(|(path, reason)| format!("crawl: {}: {reason}", site.url(path)))
    );
    assert!(!site.requests().contains_key("/5"));
}

#[test]
fn first_page_must_be_on_its_site() {
    let other = Served::new(&[("/", "")]);
    let site = Served::answering([("/", moved(301, "/a")), ("/a", moved(301, &other.url("/")))]);
    let output = crawl().args(["--url", &site.url("/")]).run();

    output.assert_code(1);
    assert_eq!(
        output.stderr.text(),
        format!(
            "crawl: {}: redirects to another site: {}\n",
            site.url("/a"),
            other.url("/")
        )
    );
    assert_eq!(other.requests(), BTreeMap::new());
}

#[test]
fn limits_end_a_trap() {
    let too_deep = "1 links beyond --depth, 0 beyond --max-pages";
    let too_many = "0 links beyond --depth, 1 beyond --max-pages";
    for (limit, fetched, left_out) in [
        ("--depth=0", 1, too_deep),
        ("--depth=7", 8, too_deep),
        ("--max-pages=1", 1, too_many),
        ("--max-pages=30", 30, too_many),
    ] {
        let output = crawl()
            .args(["--pages=1", "--links=0", "--trap", limit])
            .run();

        output.assert_code(0);
        let summary = summary(&output);
        let pages = format!("pages     {fetched} fetched, 0 failed, 0 left\n");
        assert!(summary.starts_with(&pages), "{summary}");
        let left_out = format!("left out  {left_out}\n");
        assert!(summary.contains(&left_out), "{summary}");
    }
}

#[test]
fn redirects_count_as_pages_but_not_as_depth() {
    let pages = || {
        Served::answering([
            ("/", page("<a href=/a>")),
            ("/a", moved(302, "/b")),
            ("/b", page("<a href=/c>")),
            ("/c", page("")),
        ])
    };
    for (limit, requests) in [("--depth=1", 3), ("--max-pages=2", 2)] {
        let site = pages();
        let output = crawl().args([limit, "--url", &site.url("/")]).run();
        output.assert_code(0);
        assert_eq!(site.requests().len(), requests, "{limit}");
    }
}
