import { render } from "preact";
import { App } from "./app";
import { keepChoices } from "./state/choices";
import { followLinks } from "./state/place";
import "./style/tokens.css";
import "./style/frame.css";
import "./style/parts.css";
import "./style/pages.css";

keepChoices();
followLinks();
const root = document.getElementById("app");
if (root) render(<App />, root);
