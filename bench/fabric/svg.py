"""Line charts as SVG, for the two growth plots: logarithmic x, y from zero or logarithmic, every series labelled, no dependency."""

import math

from xml.sax.saxutils import escape

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 300, 64, 150, 44, 46
COLOURS = ("#1f5f8b", "#c2571a", "#3f7d4e", "#7a4a8c")


def nice_top(value):
    """A round number not below value."""
    step = 10 ** len(str(int(value))) / 10 if value >= 1 else 0.1
    for factor in (1, 2, 2.5, 5, 10):
        if value <= factor * step:
            return factor * step
    return 10 * step


def short(number):
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:g}{letter}"
    return f"{number:g}"


def panel(title, x_label, y_label, xs, series, offset, decades=False):
    """series: [(label, [y or None])]; the panel's elements, moved down by offset. decades: y is logarithmic."""
    values = [y for _, ys in series for y in ys if y] or [1]
    if decades:
        floor = 10 ** math.floor(math.log10(min(values)))
        top = 10 ** max(math.ceil(math.log10(max(values))), round(math.log10(floor)) + 1)
        marks = [floor * 10**step for step in range(round(math.log10(top / floor)) + 1)]
    else:
        floor, top = 0, nice_top(max(values))
        marks = [share * top for share in (0, 0.25, 0.5, 0.75, 1)]
    low, high = math.log10(min(xs)), math.log10(max(xs))
    across, down = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def place(x, y):
        share = math.log10(max(y, floor) / floor) / math.log10(top / floor) if decades else y / top
        return LEFT + across * (math.log10(x) - low) / ((high - low) or 1), offset + TOP + down * (1 - share)

    parts = [f'<text x="{LEFT}" y="{offset + 20}" class="title">{escape(title)}</text>',
             f'<text x="{LEFT - 6}" y="{offset + TOP - 8}" class="unit" text-anchor="end">{escape(y_label)}</text>',
             f'<text x="{LEFT + across}" y="{offset + HEIGHT - 8}" class="unit" text-anchor="end">{escape(x_label)}</text>']
    for mark in marks:
        _, y = place(xs[0], mark)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{LEFT + across}" class="grid"/>'
                     f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{short(mark)}</text>')
    for x in xs:
        place_x, base = place(x, floor)
        parts.append(f'<text x="{place_x:.1f}" y="{base + 18:.1f}" text-anchor="middle">{short(x)}</text>')
    for number, (label, ys) in enumerate(series):
        colour = COLOURS[number % len(COLOURS)]
        points = [(place(x, y), y) for x, y in zip(xs, ys) if y is not None]
        if not points:
            continue
        path = "M" + "L".join(f"{x:.1f} {y:.1f}" for (x, y), _ in points)
        parts.append(f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"><title>{escape(label)}: {value:.3g}</title></circle>'
                  for (x, y), value in points]
        (x, y), value = points[-1]
        parts.append(f'<text x="{x + 9:.1f}" y="{y + 4:.1f}" fill="{colour}">{escape(label)} {value:.0f}</text>' if value >= 100 else
                     f'<text x="{x + 9:.1f}" y="{y + 4:.1f}" fill="{colour}">{escape(label)} {value:.3g}</text>')
    return parts


def chart(panels):
    """panels: [dict(title, x_label, y_label, xs, series)], one below the other."""
    height = HEIGHT * len(panels)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">',
             '<style>text{font:12px sans-serif;fill:#333}.title{font-size:15px;font-weight:600}.unit{fill:#666}'
             '.grid{stroke:#ddd;stroke-width:1}</style>', f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>']
    for number, one in enumerate(panels):
        parts += panel(offset=number * HEIGHT, **one)
    return "\n".join(parts + ["</svg>", ""])
