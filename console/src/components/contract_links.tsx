// The contracts of a data product; those in force have a page.
import type { ProductContract } from '../api';
import { contractHref, Link } from '../router';

export function ContractLinks({ contracts }: { contracts: readonly ProductContract[] }) {
  if (contracts.length === 0) return <>none</>;
  return (
    <>
      {contracts.map((contract, i) => (
        <span key={contract.id}>
          {contract.status === null ? `${contract.id} ${contract.version ?? ''} (not in force)` : <Link href={contractHref(contract.id)}>{`${contract.id} ${contract.version ?? ''}`}</Link>}
          {i < contracts.length - 1 && ', '}
        </span>
      ))}
    </>
  );
}
