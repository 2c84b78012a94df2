/** What the routes and sockets of the Nullspace API work with. */
import type { ControlPlane } from "../../engine/control-plane";
import type { Faults } from "../../faults";
import type { HttpSettings } from "../../settings";
import type { StatusStreams } from "../dedalus/status-streams";

export interface NullspaceDeps {
  settings: HttpSettings;
  controlPlane: ControlPlane;
  faults: Faults;
  /** Of the status stream, an extension that both dialects serve. */
  streams: StatusStreams;
}
