import { kurrentSubject } from '../../support/kurrent-store.ts';
import { storeContract } from '../store-contract.ts';

storeContract('KurrentDB', kurrentSubject);
