// Light, dark, or as the reader's system has it; remembered where the browser allows it.

const KEY = "composer-theme";
export const THEMES = ["auto", "light", "dark"];

export function rememberedTheme() {
  try {
    const found = localStorage.getItem(KEY);
    return THEMES.includes(found) ? found : "auto";
  } catch {
    return "auto";
  }
}

export function useTheme(theme) {
  document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // Files may be kept from storing anything: the theme is then for this visit.
  }
}
