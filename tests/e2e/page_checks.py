"""Questions about a page that no single test owns: targets for a thumb, sideways scroll, names for screen readers."""

# Everything that can be pressed must be 48 px high and wide enough, except links inside a sentence (WCAG 2.5.8 allows
# those) and what is hidden until focus.
SMALL_TARGETS = """
(() => [...document.querySelectorAll('button, a[href], input, select, summary')].flatMap((element) => {
  const box = element.getBoundingClientRect();
  const style = getComputedStyle(element);
  const hidden = !element.checkVisibility() || box.width === 0 || style.visibility === 'hidden' || element.closest('.skip, [hidden]') || box.bottom < 0;
  const inSentence = element.matches('a, button.link') && element.closest('p, td, dd, th, .flow, .crumb');
  const labelled = element.matches('input[type=radio], input[type=checkbox]') && element.closest('label');
  const target = labelled ? labelled.getBoundingClientRect() : box;
  if (hidden || inSentence || (target.height >= 47.5 && target.width >= 40)) return [];
  return [`${element.tagName.toLowerCase()} "${(element.innerText || element.name || element.ariaLabel || '').slice(0, 40)}" ${Math.round(target.width)}x${Math.round(target.height)}`];
}))()
"""

SIDEWAYS = """
(() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return [];
  return [...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().right > width + 1 && !e.closest('.scroll'))
    .slice(0, 5).map((e) => `${e.tagName.toLowerCase()}.${e.className}`).concat(`page ${document.documentElement.scrollWidth} of ${width}`);
})()
"""

NAMELESS = """
(() => [...document.querySelectorAll('button, a[href], input, select, [role=img]')].filter((e) => {
  if (!e.checkVisibility() || e.getBoundingClientRect().width === 0) return false;
  const label = e.labels?.[0]?.innerText ?? '';
  return !(e.innerText || e.ariaLabel || e.title || label || e.getAttribute('aria-labelledby') || e.placeholder || '').trim();
}).map((e) => e.outerHTML.slice(0, 120)))()
"""

# Contrast of text against what is painted behind it (WCAG 1.4.3: 4.5 to 1, large text 3 to 1).
LOW_CONTRAST = """
(() => {
  const parse = (c) => {
    const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    canvas.fillStyle = c; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c[3] === 255) return c; } return [255, 255, 255, 255]; };
  const found = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const e = node.parentElement;
    if (!node.textContent.trim() || e.closest('.hidden, .skip, :disabled, script') || e.getBoundingClientRect().width < 2) continue;
    const style = getComputedStyle(e);
    const [a, b] = [light(parse(style.color)), light(behind(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const size = parseFloat(style.fontSize);
    const needed = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
    if (ratio < needed) found.add(`"${node.textContent.trim().slice(0, 30)}" ${ratio.toFixed(2)} of ${needed}`);
  }
  return [...found];
})()
"""
