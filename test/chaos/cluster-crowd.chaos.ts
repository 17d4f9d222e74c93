/** Crowds of clients in full: ten thousand that come and die, one that comes back a thousand times. */
import { describeCrowd } from "../acceptance/cluster-crowd-claims.ts";

describeCrowd({ crowd: 10_000, reconnects: 1_000 });
