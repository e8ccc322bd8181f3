// A plain list as a table: columns as data.
import type { ReactNode } from 'react';
import type { Entry } from '../data/cache';
import type { List } from '../api';
import { Empty, Loading, ProblemNote } from './problem';

export interface Column<T> {
  title: string;
  show: (item: T) => ReactNode;
  num?: boolean;
  whole?: boolean; // Never broken over lines.
}

interface Props<T> {
  list: Entry<List<T>> & { reload: () => void };
  columns: readonly Column<T>[];
  rowKey: (item: T, index: number) => string | number;
  empty: string;
  hint: string;
  extra?: readonly T[];
}

export function ListTable<T>({ list, columns, rowKey, empty, hint, extra = [] }: Props<T>) {
  if (!list.data) return list.problem ? <ProblemNote problem={list.problem} retry={list.reload} /> : <Loading lines={8} />;
  const items = [...list.data.items, ...extra];
  if (items.length === 0) return <Empty title={empty}>{hint}</Empty>;
  return (
    <>
      <ProblemNote problem={list.problem} retry={list.reload} />
      <div className="panel scroll">
        <table>
          <thead>
            <tr>
              {columns.map((column) => (
                <th key={column.title} scope="col" className={column.num ? 'num' : ''}>
                  {column.title}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {items.map((item, index) => (
              <tr key={rowKey(item, index)}>
                {columns.map((column) => (
                  <td key={column.title} className={column.num ? 'num' : column.whole ? 'whole' : ''}>
                    {column.show(item)}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}
