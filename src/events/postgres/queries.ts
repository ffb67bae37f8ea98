import type pg from 'pg';
import { StoreUnavailableError } from '../store.ts';

/** Runs a named query on the log. Rejects with StoreUnavailableError where it can't be answered. */
export type Query = <Row extends pg.QueryResultRow>(name: string, text: string, values: unknown[]) => Promise<Row[]>;

/** Queries on a pool. */
export function queriesOn(pool: pg.Pool): Query {
  return async <Row extends pg.QueryResultRow>(name: string, text: string, values: unknown[]) => {
    try {
      return (await pool.query<Row>({ name, text, values })).rows;
    } catch (error) {
      throw new StoreUnavailableError(`the log can't be read (${name})`, { cause: error });
    }
  };
}
