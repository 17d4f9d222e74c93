/** Crowds of clients in full: ten thousand that come and die. */
import { describeCrowd } from "../acceptance/cluster-crowd-claims.ts";

describeCrowd(10_000);
