import type { FactIndex, Span } from './fact-index.ts';
import type { Tails } from './tails.ts';

/** In ms: spans of this time go to Postgres together. */
const WRITE_AFTER = 50;
const AGAIN_AFTER = 1_000;
/** Streams in one statement, and facts, where it isn't one stream that has more. */
const STREAMS_TOGETHER = 500;
const FACTS_TOGETHER = 10_000;
/** Spans and facts that wait at the most: what comes beyond is read from its stream one day. */
const MAX_WAITING = 10_000;
const MAX_FACTS = 100_000;

/** Writes the index behind the log. What is lost of it is read from the streams by whoever misses it. */
export class IndexWriter {
  readonly #index: Pick<FactIndex, 'note'>;
  readonly #tails: Tails;
  readonly #waiting = new Map<string, Span>();
  #facts = 0;
  #writing: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(index: Pick<FactIndex, 'note'>, tails: Tails) {
    this.#index = index;
    this.#tails = tails;
  }

  /** Offers a span. Those of one stream that follow on each other go together; where there is a gap the later one waits. */
  offer(span: Span): void {
    if (this.#closed) return;
    const before = this.#waiting.get(span.stream);
    if (before === undefined && this.#waiting.size >= MAX_WAITING) return;
    if (this.#facts + factsIn(span) > MAX_FACTS) return;
    this.#keep(before === undefined ? span : joined(before, span));
    if (this.#writing === undefined) this.#plan(WRITE_AFTER);
  }

  /** Writes what waits, and takes nothing more. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#writing;
    // What can't be written now is read from the streams by the next process.
    while (this.#waiting.size > 0) {
      const isWritten = await this.#write().then(
        () => true,
        () => false,
      );
      if (!isWritten) return;
    }
  }

  #keep(span: Span): void {
    this.#facts += factsIn(span) - factsIn(this.#waiting.get(span.stream));
    this.#waiting.set(span.stream, span);
  }

  /** Takes what goes into one statement. */
  #take(): readonly Span[] {
    const spans: Span[] = [];
    let facts = 0;
    for (const span of this.#waiting.values()) {
      if (spans.length > 0 && (spans.length >= STREAMS_TOGETHER || facts + factsIn(span) > FACTS_TOGETHER)) break;
      spans.push(span);
      facts += factsIn(span);
    }
    for (const { stream } of spans) this.#waiting.delete(stream);
    this.#facts -= facts;
    return spans;
  }

  #plan(milliseconds: number): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#writing = this.#write()
        .then(
          () => WRITE_AFTER,
          () => AGAIN_AFTER,
        )
        .then((rest) => {
          this.#writing = undefined;
          if (this.#waiting.size > 0 && !this.#closed) this.#plan(rest);
        });
    }, milliseconds).unref();
  }

  async #write(): Promise<void> {
    const spans = this.#take();
    try {
      const known = await this.#index.note(spans);
      for (const [place, { stream, low }] of spans.entries()) {
        const upTo = known[place] ?? -1;
        // Where something before it is missing, it stays in memory: whoever looks there reads the rest.
        if (upTo >= low) this.#tails.prune(stream, upTo);
      }
    } catch (error) {
      for (const span of spans) {
        const later = this.#waiting.get(span.stream);
        this.#keep(later === undefined ? span : joined(span, later));
      }
      throw error;
    }
  }
}

function factsIn(span: Span | undefined): number {
  return span === undefined ? 0 : span.claims.length + span.links.length;
}

/** Two spans of a stream as one. Where there is a gap between them, the later one alone. */
function joined(before: Span, span: Span): Span {
  const [first, second] = before.low <= span.low ? [before, span] : [span, before];
  if (second.low > first.high) return second;
  if (second.high <= first.high) return first;
  const isNew = ([, revision]: readonly [unknown, number]) => revision > first.high;
  return {
    stream: first.stream,
    low: first.low,
    high: second.high,
    claims: [...first.claims, ...second.claims.filter(isNew)],
    links: [...first.links, ...second.links.filter(isNew)],
  };
}
