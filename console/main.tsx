/** Starts the console in its page. Owns nothing. */
import "./language.ts";
import { render } from "preact";
import { App } from "./app.tsx";
import "./style/base.css";
import "./style/parts.css";
import "./style/pages.css";
import "./style/chart.css";

render(<App />, document.getElementById("page") as HTMLElement);
