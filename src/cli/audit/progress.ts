/** How far an audit has come, or what it went through when it is done. */
export type Progress = {
  readonly events: number;
  readonly streams: number;
  readonly claims: number;
  readonly links: number;
  /** Events that the index of a log in KurrentDB doesn't know yet: the service reads them from their streams. */
  readonly unindexed?: number;
};
