// Who is using the console, and on which node.
import { createContext, useContext } from 'react';
import type { Role, Session } from './api';
import { atLeast } from './lib/alarms';

export interface SessionContext {
  session: Session;
  reload: () => void;
  leave: () => void;
}

const Context = createContext<SessionContext | null>(null);
export const SessionProvider = Context.Provider;

export function useSession(): SessionContext {
  const value = useContext(Context);
  if (!value) throw new Error('no session around this component');
  return value;
}

export function useMay(role: Role): boolean {
  return atLeast(useSession().session.user?.role, role);
}
