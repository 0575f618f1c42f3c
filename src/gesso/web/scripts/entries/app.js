// What every page has. Pages with more of their own add another file beside this one (see ../README.md).
import "htmx.org";

import "../lib/requests.js";
import "../lib/confirm.js";
import "../lib/fields.js";
import "../lib/live.js";
import "../lib/palette.js";
import "../lib/theme.js";
import "../lib/toast.js";
import { onContent } from "../lib/content.js";
import { placeholders } from "../lib/placeholders.js";
import { setProperties } from "../lib/properties.js";
import { watchRows } from "../lib/rows.js";
import { tellTimes } from "../lib/times.js";

onContent(setProperties);
onContent(placeholders);
onContent(tellTimes);
onContent(watchRows);
