// The gallery and the lightbox. It holds back the first paint until the rows are laid out.
import { watchRows } from "../lib/rows.js";

import "../gallery/filters.js";
import "../gallery/selection.js";
import "../gallery/lightbox.js";
import "../gallery/wall.js";
import "../gallery/leaves.js";
import "../gallery/scrubber.js";
import "../gallery/calendar.js";
import "../gallery/news.js";

watchRows(document.body);
