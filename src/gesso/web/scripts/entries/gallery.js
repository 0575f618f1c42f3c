// The gallery and the lightbox.
import "../gallery/filters.js";
import "../gallery/selection.js";
import "../gallery/lightbox.js";
import "../gallery/wall.js";
