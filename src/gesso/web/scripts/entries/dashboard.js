// The dashboard's chart by keys, and its history filtered in place.
import "../dashboard/chart.js";
import "../dashboard/history.js";
