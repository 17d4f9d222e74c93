/** The console's page for the nodes of a test run: built once, before the first test, if its sources are newer. */
import { buildConsoleIfOld } from "../../console/build.ts";

export default buildConsoleIfOld;
