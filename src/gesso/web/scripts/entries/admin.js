// The operator's panel.
import "../admin/sort.js";
