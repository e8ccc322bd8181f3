// An inclusion proof of one audit leaf; recomputed here where the browser can, so that the answer is not the node's own.
import { useState } from 'react';
import { api, type AuditProof } from '../api';
import { useAction } from '../hooks';
import { rootFromProof } from '../lib/merkle';
import { ProblemNote } from './problem';

type Judgement = 'holds' | 'fails' | 'not checked here';

async function judge(proof: AuditProof): Promise<Judgement> {
  if (!proof.leaf_hash || !globalThis.crypto?.subtle) return 'not checked here';
  try {
    return (await rootFromProof(proof.leaf_hash, proof.leaf, proof.size, proof.path)) === proof.root.toLowerCase() ? 'holds' : 'fails';
  } catch {
    return 'fails';
  }
}

function sayJudgement(judgement: Judgement, nodeSays: boolean | undefined): string {
  if (judgement === 'holds') return '✓ Holds: recomputed in this browser.';
  if (judgement === 'fails' || nodeSays === false) return '✕ Does not hold.';
  return nodeSays ? '✓ Holds, the node says.' : 'Proof as the node gives it.';
}

export function AuditProofNote({ leaf }: { leaf: number }) {
  const [shown, setShown] = useState<{ proof: AuditProof; judgement: Judgement } | null>(null);
  const { run, busy, problem } = useAction(async () => {
    const proof = await api.auditProof(leaf);
    setShown({ proof, judgement: await judge(proof) });
  });
  if (!shown)
    return (
      <>
        <button type="button" className="button" onClick={() => void run()} disabled={busy} data-action="prove">
          {busy ? 'Checking …' : 'Check the proof'}
        </button>
        <ProblemNote problem={problem} />
      </>
    );
  const { proof, judgement } = shown;
  return (
    <div className="proof">
      <p>
        <b>{sayJudgement(judgement, proof.proof_ok)}</b> Leaf {proof.leaf} of {proof.size}, root <code>{proof.root.slice(0, 16)}…</code>
      </p>
      <details>
        <summary>{proof.path.length} hashes from the leaf to the root (RFC 6962)</summary>
        <ol>
          {proof.path.map((hash, index) => (
            <li key={index}>
              <code>{hash}</code>
            </li>
          ))}
          <li>
            root <code>{proof.root}</code>
          </li>
        </ol>
      </details>
    </div>
  );
}
