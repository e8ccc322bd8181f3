// Before the first paint: the viewer's own choice of light or dark, if there is one.
try {
  const theme = localStorage.getItem('penstock-theme');
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
} catch {
  // Storage may be forbidden; the system's preference holds then.
}
