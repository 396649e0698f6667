//! The story as a page: a timeline picture, the steps as a table, the summary. One file without anything from elsewhere.

use std::fmt::Write as _;

use super::{Step, Who};

const WIDTH: f64 = 1000.0;
const LANE: f64 = 44.0;
const LEFT: f64 = 110.0;

pub(super) fn page(steps: &[Step], summary: &str) -> String {
    let mut rows = String::new();
    for step in steps {
        let class = if step.refused { " class=\"refused\"" } else { "" };
        let what = escaped(&step.what);
        let _ = writeln!(
            rows,
            "<tr{class}><td>{:.2} s</td><td>{}</td><td>{what}</td></tr>",
            step.at.as_secs_f64(),
            step.who.name()
        );
    }
    format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Strongroom: the demonstration</title>\n\
         <style>body{{font:15px/1.45 system-ui,sans-serif;max-width:1100px;margin:2rem auto;padding:0 1rem;color:#222}}\
         table{{border-collapse:collapse;width:100%}}td{{border-top:1px solid #ddd;padding:.3rem .6rem;vertical-align:top;\
         overflow-wrap:anywhere}}td:first-child{{white-space:nowrap;text-align:right}}.refused td{{color:#a01818}}\
         pre{{background:#f4f4f4;padding:1rem;overflow:auto;white-space:pre-wrap}}.note{{color:#a01818;font-weight:600}}</style>\n\
         <h1>Secrets opened only by that enclave, for that paid task</h1>\n\
         <p class=\"note\">The enclave was simulated: everything is real but the hardware that would protect it.</p>\n\
         {}\n<h2>Summary</h2>\n<pre>{}</pre>\n<h2>Steps</h2>\n<table>\n{rows}</table>\n</html>\n",
        timeline(steps),
        escaped(summary)
    )
}

/// A lane for each person, a dot for each step; red for what was refused.
fn timeline(steps: &[Step]) -> String {
    let whole = steps.last().map_or(1.0, |step| step.at.as_secs_f64().max(0.1));
    let height = Who::ALL.iter().fold(30.0, |height, _| height + LANE);
    let mut picture = format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"timeline\">\n");
    let mut y = LANE / 2.0;
    for who in Who::ALL {
        let _ = writeln!(
            picture,
            "<text x=\"0\" y=\"{}\" font-size=\"14\">{}</text><line x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{y}\" y2=\"{y}\" stroke=\"#ccc\"/>",
            y + 5.0,
            who.name()
        );
        for step in steps.iter().filter(|step| step.who == who) {
            let x = LEFT + 10.0 + (WIDTH - LEFT - 20.0) * step.at.as_secs_f64() / whole;
            let colour = if step.refused { "#c22" } else { "#276" };
            let _ = writeln!(
                picture,
                "<circle cx=\"{x:.1}\" cy=\"{y}\" r=\"6\" fill=\"{colour}\"><title>{:.2} s: {}</title></circle>",
                step.at.as_secs_f64(),
                escaped(&step.what)
            );
        }
        y += LANE;
    }
    let _ = writeln!(
        picture,
        "<text x=\"{LEFT}\" y=\"{0}\" font-size=\"12\">0 s</text><text x=\"{WIDTH}\" y=\"{0}\" font-size=\"12\" text-anchor=\"end\">{whole:.1} s</text>\n</svg>",
        height - 10.0
    );
    picture
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
