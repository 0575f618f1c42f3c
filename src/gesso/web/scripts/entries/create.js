// The Create page.
import "../create/composer.js";
import "../create/sheet.js";
import "../create/references.js";
import "../create/picker.js";
import "../create/runs.js";
import "../create/progress.js";
import "../create/hearts.js";
import "../create/prompts.js";
