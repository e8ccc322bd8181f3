// Assets below a line, each with its state and its alarms.
import type { Asset } from '../api';
import { PRIORITY_WORD } from '../lib/alarms';
import { plural } from '../lib/format';
import { assetHref, Link } from '../router';

export function MachineList({ title, assets }: { title: string; assets: readonly Asset[] }) {
  return (
    <div className="panel">
      <h2>{title}</h2>
      <div className="scroll">
        <table>
          <thead>
            <tr>
              <th scope="col">Asset</th>
              <th scope="col">State</th>
              <th scope="col">Alarms</th>
              <th scope="col">Thing</th>
            </tr>
          </thead>
          <tbody>
            {assets.map((asset) => (
              <tr key={asset.path}>
                <th scope="row">
                  <Link href={assetHref(asset.path)}>{asset.title}</Link>
                </th>
                <td>{asset.thing ? asset.state : plural(asset.children, 'asset')}</td>
                <td>{asset.active_alarms === 0 ? 'none' : `${asset.active_alarms}, worst ${asset.worst_priority ?? ''} ${asset.worst_priority ? PRIORITY_WORD[asset.worst_priority] : ''}`}</td>
                <td className="soft">{asset.thing ?? 'none of its own'}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </div>
  );
}
